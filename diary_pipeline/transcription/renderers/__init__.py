"""A transcript as text, JSON, subtitles and Markdown."""
