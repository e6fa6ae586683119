"""Turns spoken diary recordings into truthful, dated, searchable notes. Holds no code: every name has one import path."""
