"""A real language model in a real server: `make test-llm-local`."""
