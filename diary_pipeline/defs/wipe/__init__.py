"""Taking recordings out of Dagster's own databases: what upkeep calls `Partitions`."""
