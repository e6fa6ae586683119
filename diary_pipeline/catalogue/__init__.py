"""What users query: a log of immutable Parquet objects, folded by one publisher into a DuckDB file opened read-only."""
