"""The one partitions definition: a recording is a partition of every asset."""

import dagster as dg

from diary_pipeline.core import tags

RECORDINGS = dg.DynamicPartitionsDefinition(name=tags.PARTITIONS)
