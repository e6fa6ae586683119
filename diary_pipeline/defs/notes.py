"""`diary_note`: reads the transcript by ledger pointer, never the audio."""

from collections.abc import Iterator

import dagster as dg

from diary_pipeline.core import tags
from diary_pipeline.defs.checks import specs_for
from diary_pipeline.defs.held import BatchConfig, Leases
from diary_pipeline.defs.partitions import RECORDINGS
from diary_pipeline.defs.report import Reporter
from diary_pipeline.notes.batch import WriteNotes

NOTES_PER_RUN = 500
"""Recordings a backfill run; see SPEECH_PER_RUN for why the two differ."""

DIARY_NOTE = dg.AssetSpec(
    "diary_note",
    deps=["transcript"],
    description="The dated note; every claim names the second it was said in. A silent recording has none and says so.",
    group_name="diary",
    kinds={"markdown"},
    skippable=True,
)


@dg.multi_asset(
    specs=[DIARY_NOTE],
    check_specs=specs_for(["diary_note"]),
    partitions_def=RECORDINGS,
    can_subset=True,
    pool=tags.LLM_POOL,
    backfill_policy=dg.BackfillPolicy.multi_run(NOTES_PER_RUN),
)
def note(
    context: dg.AssetExecutionContext,
    config: BatchConfig,
    leases: dg.ResourceParam[Leases],
    reporter: dg.ResourceParam[Reporter],
    write_note: dg.ResourceParam[WriteNotes],
) -> Iterator[dg.MaterializeResult[None]]:
    """What each recording says, as a note whose claims were all said."""
    with leases.batch(context, config, "note") as (batch, _):
        report = write_note(batch, leases.progress(context, batch))
        yield from reporter.partitions(context, batch, report)


write_notes = dg.define_asset_job(
    "write_notes",
    selection=["diary_note"],
    description="Write the notes of a batch. Asked for by the sensor `finished_transcripts`; launch it on any one.",
)
