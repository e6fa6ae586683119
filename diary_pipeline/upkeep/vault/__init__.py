"""A diary as linked Markdown pages in a folder that people also write in: an Obsidian vault."""
