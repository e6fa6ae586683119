"""Where the stores of a diary may disagree, one file for each pair, and what mends it."""
