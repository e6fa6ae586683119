"""How Whisper weights reach a machine, and how they are known to be whole."""
