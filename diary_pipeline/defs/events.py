"""Dagster asset events written by hand: many at once, and failed partitions of a run that succeeded.

Only report.py and dispatch.py call this. The surprise: Dagster shows a partition as failed when its newest event is a
*planned* materialisation of a run that ended FAILURE, and in no other way; hence the marker run.
"""

import os
import time
from collections.abc import Iterable, Sequence

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry

from diary_pipeline.core import tags
from diary_pipeline.core.batch import Result


@dg.job(
    description="Never launched. Its failed runs hold the recordings that failed in a batch, so that the UI shows them."
)
def failed_recordings() -> None:
    """Nothing to do: see mark_failed."""


def emit(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    step: str,
    *,
    materializations: Iterable[dg.AssetMaterialization] = (),
    checks: Iterable[dg.AssetCheckEvaluation] = (),
    planned: Iterable[tuple[dg.AssetKey, str]] = (),
) -> None:
    """Store many asset events of one run; planned ones first, because the newest event decides a partition's status."""
    job, storage = run.job_name, instance.event_log_storage
    plans = [
        DagsterEvent.build_asset_materialization_planned_event(
            job, step, AssetMaterializationPlannedData(asset, partition=key, partitions_subset=None)
        )
        for asset, key in planned
    ]
    made = [
        _event(dg.DagsterEventType.ASSET_MATERIALIZATION, job, step, StepMaterializationData(m))
        for m in materializations
    ]
    seen = [_event(dg.DagsterEventType.ASSET_CHECK_EVALUATION, job, step, c) for c in checks]
    if getattr(storage, "batches_check_evaluations", False):
        storage.store_event_batch([_entry(run, step, e) for e in (*plans, *made, *seen)])
        return
    for batch in (plans, made):
        if batch:
            storage.store_event_batch([_entry(run, step, e) for e in batch])
    for event in seen:
        storage.store_event(_entry(run, step, event))


def mark_failed(
    instance: dg.DagsterInstance, origin: str, failed: Sequence[Result], assets: Sequence[dg.AssetKey]
) -> None:
    """Show each failed recording as a failed partition, although the run or batch `origin` as a whole may succeed.

    Dagster shows a partition as failed when its newest event is a planned materialisation of a run that ended FAILURE.
    """
    marker = instance.create_run_for_job(
        failed_recordings, status=dg.DagsterRunStatus.STARTED, tags={tags.BATCH_RUN: origin}
    )
    emit(instance, marker, "failed", planned=[(asset, r.key) for asset in assets for r in failed])
    instance.report_run_failed(marker, f"{len(failed)} recordings failed in {origin}: {by_code(failed)}")


def by_code(failed: Sequence[Result]) -> str:
    """Count failures by code; which recordings they are stands at the partitions, where an erasure finds it."""
    counts: dict[str, int] = {}
    for result in failed:
        counts[str(result.code)] = counts.get(str(result.code), 0) + 1
    return ", ".join(f"{n} {code}" for code, n in sorted(counts.items()))


def _event(
    kind: dg.DagsterEventType, job: str, step: str, data: StepMaterializationData | dg.AssetCheckEvaluation
) -> DagsterEvent:
    return DagsterEvent(
        event_type_value=kind.value, job_name=job, step_key=step, event_specific_data=data, pid=os.getpid()
    )


def _entry(run: dg.DagsterRun, step: str, event: DagsterEvent) -> EventLogEntry:
    return EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=10,
        user_message="",
        run_id=run.run_id,
        timestamp=time.time(),
        step_key=step,
        job_name=run.job_name,
        dagster_event=event,
    )
