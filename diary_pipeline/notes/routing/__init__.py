"""Which route writes a note, at what price, and what is remembered of each."""
