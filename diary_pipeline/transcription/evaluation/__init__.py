"""Transcripts measured against what was said."""
