"""The writer that needs no model: it chooses among the speaker's own sentences."""
