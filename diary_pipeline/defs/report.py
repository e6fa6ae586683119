"""The one place where results become events: a stage's report as materialisations, checks and failed partitions.

Domain commits come first; an event never claims what is not stored. The surprise: Dagster itself emits nothing for our
runs (`dagster/defer_asset_events`), because its outputs would materialise every key of a batch, good or bad, one slow
write each. What runs in a batch is written here in one batched write, and the outputs yielded afterwards only let later
steps of the same run start.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import dagster as dg

from diary_pipeline.core import tags
from diary_pipeline.core.batch import Batch, Result, StageReport
from diary_pipeline.defs.checks import GROUPS, evaluation
from diary_pipeline.defs.events import by_code, emit, mark_failed
from diary_pipeline.ledger import batches
from diary_pipeline.ledger.connect import Ledger

AUDIO_METADATA = frozenset(
    {"duration_s", "container", "size_bytes", "peak_dbfs", "rms_dbfs", "file_name", "recorded_at"}
)
"""What belongs on `raw_audio`; the rest of a speech result belongs on `transcript`."""


@dataclass(frozen=True)
class Reporter:
    """Tells Dagster what a stage did."""

    ledger: Ledger
    previews: bool
    """Whether Markdown of note and transcript goes into the metadata: see docs/decisions/0001."""

    def partitions(
        self, context: dg.AssetExecutionContext, batch: Batch, report: StageReport
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Write the events of a batch, then yield one output for each selected asset.

        Raise dg.Failure when every recording failed. Always yields otherwise: an op that yields nothing makes every
        later step of its run STEP_SKIPPED, and the run still ends green.
        """
        _defer(context.run)
        failed = [*report.failed, *(_unknown(key) for key in batch.unknown)]
        assets = sorted(context.selected_asset_keys, key=str)
        wanted = {(c.asset_key.to_user_string(), c.name) for c in context.selected_asset_check_keys}
        groups = [g for g in GROUPS if (g.asset, g.name) in wanted]
        seen = [evaluation(g, r) for g in groups for r in (*report.good, *failed)]
        emit(
            context.instance,
            context.run,
            context.op_execution_context.op.name,
            materializations=[_materialization(asset, r, self.previews) for asset in assets for r in report.good],
            checks=[e for e in seen if e is not None],
        )
        if failed:
            mark_failed(context.instance, f"run {context.run.run_id}", failed, assets)
        batches.mark_reported(self.ledger, batch.id)
        context.log.info(summary(report))
        if failed and not report.good:
            raise dg.Failure(f"all {len(failed)} recordings failed: {by_code(failed)}", allow_retries=False)
        for asset in assets:
            yield dg.MaterializeResult(asset_key=asset)


def _defer(run: dg.DagsterRun) -> None:
    """Keep Dagster from emitting events of its own; it reads the tag from this very object, whatever is stored.

    Runs that we ask for carry the tag already; those from the UI and backfills come without it.
    """
    cast(dict[str, str], run.tags)[tags.DEFER_ASSET_EVENTS] = "true"


def summary(report: StageReport) -> str:
    """Say in one line what a stage did; counts and codes, no key."""
    counts: dict[str, int] = {}
    for result in report.results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    said = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())) or "nothing to do"
    return f"{report.stage}: {said}" + (f" ({by_code(report.failed)})" if report.failed else "")


def _unknown(key: str) -> Result:
    message = f"The ledger knows no recording {key}; ingest the file again, or delete the partition."
    return Result(key, "failed", "recording_missing", message)


def _materialization(asset: dg.AssetKey, result: Result, previews: bool) -> dg.AssetMaterialization:
    name = asset.to_user_string()
    metadata: dict[str, dg.MetadataValue] = {
        label: _value(value)
        for label, value in result.metadata.items()
        if name == "diary_note" or (label in AUDIO_METADATA) == (name == "raw_audio")
    }
    if previews and result.preview and name != "raw_audio":
        # Dagster sets a first-level heading so tight that the lines of a long title overlap.
        metadata["preview"] = dg.MetadataValue.md(re.sub(r"\A# (.*)", r"**\1**", result.preview))
    return dg.AssetMaterialization(asset, partition=result.key, metadata=metadata)


def _value(value: str | float | bool) -> dg.MetadataValue:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    if value.startswith("file:///"):
        return dg.MetadataValue.path(value.removeprefix("file://"))
    return dg.MetadataValue.text(value)
