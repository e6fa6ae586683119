"""Names that Dagster stores and people filter by: run tags, pools, partitions."""

LOCATION = "diary_pipeline"
PARTITIONS = "recordings"

BATCH = "diary/batch"
ATTEMPT = "diary/attempt"
RECORDINGS_IN_BATCH = "diary/recordings"
BATCH_RUN = "diary/batch_run"
"""On a marker run: the batch run whose failed recordings it shows."""

DEFER_ASSET_EVENTS = "dagster/defer_asset_events"
PARTITION = "dagster/partition"
PRIORITY = "dagster/priority"

GPU_POOL = "gpu"
LLM_POOL = "llm"
