"""A small real language model on this machine: its weights, and the llama.cpp server that answers for it."""
