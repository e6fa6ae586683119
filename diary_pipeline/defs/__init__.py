"""The Dagster layer: an asset fetches, calls one verb, reports. Assembled by diary_pipeline.definitions."""
