"""A note as Markdown, and as a file in a folder."""
