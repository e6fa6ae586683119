"""What an audio file is, before anybody listens: facts, samples, levels, soundness, and when it was recorded."""
