"""Hearing through a server that speaks OpenAI's transcription API."""
