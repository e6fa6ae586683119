"""What text means, as vectors: a small model on this machine, or any server with OpenAI's embeddings API."""
