"""Demo speech: what is said, the tools that spoke it, the committed audio and its faulty relatives."""
