"""Real Whisper weights on real speech: how many words are right."""
