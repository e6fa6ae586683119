"""Where a model runs, in which precision and how many windows at a time."""
