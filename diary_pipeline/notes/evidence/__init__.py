"""Whether a text was said: what a note may claim, and how that is checked."""
