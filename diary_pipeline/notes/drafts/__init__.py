"""What a model is asked, and how its answer becomes a note of ours."""
