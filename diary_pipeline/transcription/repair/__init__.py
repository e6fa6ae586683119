"""What makes a passage doubtful, and how it is heard again."""
