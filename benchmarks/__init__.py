"""What `make bench` runs: the platform against what a user would use instead, as ratios measured in one run."""
