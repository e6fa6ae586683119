"""What the checks of notes are worth: planted errors."""
