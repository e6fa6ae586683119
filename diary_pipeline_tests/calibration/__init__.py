"""What the checks of notes are worth: planted errors, and the labelled answers of real models in real_answers/."""
