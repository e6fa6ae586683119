"""`raw_audio` and `transcript`: one step, one decode."""

from collections.abc import Iterator

import dagster as dg

from diary_pipeline.core import tags
from diary_pipeline.defs.checks import specs_for
from diary_pipeline.defs.held import BatchConfig, Leases
from diary_pipeline.defs.partitions import RECORDINGS
from diary_pipeline.defs.report import Reporter
from diary_pipeline.transcription.batch import TranscribeBatch

SPEECH_PER_RUN = 250
"""Recordings a backfill run. Not the number of notes.py: equal policies would put GPU and LLM steps into one run."""

RAW_AUDIO = dg.AssetSpec(
    "raw_audio",
    description="The recording as it was received: measured duration, levels, and whether it is all there.",
    group_name="diary",
    kinds={"audio"},
    skippable=True,
)
TRANSCRIPT = dg.AssetSpec(
    "transcript",
    deps=["raw_audio"],
    description="What was said, with times; every second is speech, inaudible or silence.",
    group_name="diary",
    kinds={"whisper"},
    skippable=True,
)


@dg.multi_asset(
    specs=[RAW_AUDIO, TRANSCRIPT],
    check_specs=specs_for(["raw_audio", "transcript"]),
    partitions_def=RECORDINGS,
    can_subset=True,
    pool=tags.GPU_POOL,
    backfill_policy=dg.BackfillPolicy.multi_run(SPEECH_PER_RUN),
)
def speech(
    context: dg.AssetExecutionContext,
    config: BatchConfig,
    leases: dg.ResourceParam[Leases],
    reporter: dg.ResourceParam[Reporter],
    transcribe: dg.ResourceParam[TranscribeBatch],
) -> Iterator[dg.MaterializeResult[None]]:
    """What was said in each recording, with times and checks."""
    with leases.batch(context, config, "transcript") as (batch, heart):
        report = transcribe(batch, leases.progress(context, batch), heart.reached)
        yield from reporter.partitions(context, batch, report)


transcribe_recordings = dg.define_asset_job(
    "transcribe_recordings",
    selection=["raw_audio", "transcript"],
    description="Transcribe the recordings of one batch. Asked for by the sensor `uploads`; launch it on any one.",
)
