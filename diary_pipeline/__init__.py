"""Spoken diary recordings become truthful, dated, searchable notes. Holds no code: a name has one import path."""
