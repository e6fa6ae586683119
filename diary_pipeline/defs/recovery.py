"""What died or was left half done is found and brought to its end. The one retry loop of the platform.

Dagster's `run_retries` is off: a batch moves on to attempt n+1 only when Dagster says that the run of attempt n is
absent or has ended. After the last attempt it is halved, and a recording that is lost alone fails. Asking for runs is
dispatch.py's business.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from diary_pipeline.catalogue.commit import Failed, commit_notes, commit_transcripts
from diary_pipeline.core import tags
from diary_pipeline.core.batch import Batch, Result, Stage
from diary_pipeline.core.errors import Fenced
from diary_pipeline.defs.events import mark_failed
from diary_pipeline.ledger import batches, leases, recordings, retries
from diary_pipeline.ledger.batches import ClosedBatch, OpenBatch
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription.checkpoints import forget_ended

ASSETS: Mapping[Stage, tuple[str, ...]] = {"transcript": ("raw_audio", "transcript"), "note": ("diary_note",)}
OURS = frozenset(
    "transcribe_recordings write_notes publish ingest reprocess retention erase build_marts catalogue_maintenance "
    "reconcile".split()
)
HOLDER = "recovery"
"""Who claims recordings only to say that they failed."""

logger = log(__name__)


@dataclass(frozen=True)
class Recovery:
    """Looks for runs and batches that nobody will finish."""

    ledger: Ledger
    store: ObjectStore
    lease_s: float
    max_attempts: int
    retry_after_s: Sequence[float] = ()
    """Pauses after which recordings are tried again whose every attempt was given back with a reason."""
    clock: Callable[[], float] = time.time

    def fail_dead_runs(self, instance: dg.DagsterInstance) -> list[str]:
        """Fail the runs that a dead machine left STARTED, so that they hold no pool slot; return their ids."""
        dead = []
        for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            run, started_at = record.dagster_run, record.start_time or record.create_timestamp.timestamp()
            if not is_ours(run) or self.clock() - started_at < self.lease_s:
                continue
            with self.ledger.reading() as conn:
                if leases.holder_is_live(conn, run.run_id):
                    continue
            instance.report_run_failed(
                run,
                f"No sign of life from this run for {self.lease_s:.0f} s: its process is gone. "
                "What it had not committed is planned again.",
            )
            dead.append(run.run_id)
        return dead

    def cancel_unstarted(self, instance: dg.DagsterInstance) -> list[str]:
        """Cancel the runs that a stopped daemon left behind before they started; nobody would ever start them."""
        waiting = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
        canceled = []
        for record in instance.get_run_records(dg.RunsFilter(statuses=waiting)):
            run, age_s = record.dagster_run, self.clock() - record.create_timestamp.timestamp()
            # Another waiting process creates its runs in these states too, for a moment.
            if is_ours(run) and age_s >= self.lease_s:
                instance.report_run_canceled(run, message="No daemon lives to start this run; it is asked for again.")
                canceled.append(run.run_id)
        return canceled

    def recover(self, instance: dg.DagsterInstance, stage: Stage) -> None:
        """Move batches of dead runs on to their next attempt; after the last halve them, or give up what is alone."""
        for batch in self._open(stage):
            if not self._is_lost(instance, batch):
                continue
            if batch.attempt < self.max_attempts:
                batches.next_attempt(self.ledger, batch.id, batch.attempt)
                continue
            try:
                if batch.recordings > 1:
                    halves = batches.halve(self.ledger, batch.id, batch.attempt, self.max_attempts)
                    _show_halved(instance, _run_of(instance, batch), halves)
                    continue
                claimed = batches.claim_batch(self.ledger, batch.id, batch.attempt, HOLDER, self.lease_s)
            except Fenced:  # another tick was faster
                continue
            self._give_up(instance, claimed, {})
        self._end_exhausted(instance, stage)

    def _end_exhausted(self, instance: dg.DagsterInstance, stage: Stage) -> None:
        """Give up, or halve, what was given back again and again by runs that raised."""
        with self.ledger.reading() as conn:
            exhausted = batches.exhausted(conn, stage, self.max_attempts)
        alone = 2 * self.max_attempts - 1  # all attempts once more, after what it was halved with: see halving.py
        reasons = {
            e.key: (e.reason_code, e.message) for e in exhausted if e.reason_code or (e.alone and e.attempts >= alone)
        }
        if reasons:
            claimed = batches.claim_keys(self.ledger, stage, list(reasons), HOLDER, self.lease_s)
            self._give_up(instance, claimed, reasons)
        silent: dict[str | None, list[str]] = {}
        for one in exhausted:
            if one.key not in reasons:
                silent.setdefault(one.run_id, []).append(one.key)
        for run_id, keys in silent.items():
            halves = batches.halve_ready(self.ledger, stage, keys, self.max_attempts)
            _show_halved(instance, instance.get_run_by_id(run_id) if run_id else None, halves)

    def _open(self, stage: Stage) -> list[OpenBatch]:
        with self.ledger.reading() as conn:
            return batches.open_batches(conn, stage)

    def _is_lost(self, instance: dg.DagsterInstance, batch: OpenBatch) -> bool:
        """Whether the run that should carry this attempt is absent or ended while recordings are still open."""
        if batch.state == "planned" or batch.lease_live:
            return False
        if batch.state == "claimed":  # whoever claimed it is known by its own id, also a run from the UI
            return _is_over(instance, batch.run_id)
        run = _run_of(instance, batch)
        return run is not None and run.is_finished  # not there yet: the request is repeated

    def _give_up(
        self, instance: dg.DagsterInstance, batch: Batch, reasons: Mapping[str, tuple[str | None, str | None]]
    ) -> None:
        """Fail recordings whose every attempt was in vain, so that they end and do not take others down for ever."""
        failed = []
        with self.ledger.reading() as conn:
            for lease in batch.leases:
                code, message = reasons.get(lease.key, (None, None))
                told = message or "Its runs died without a word, though they carried nothing else; look at the runs."
                told = f"{told} Launch the partition again when that is mended."
                recording = recordings.get(conn, lease.key)
                # What killed every run without a word would do so again, and takes others down with it.
                again = self.retry_after_s if code else ()
                failed.append(Failed(recording, lease, batch.stage, code or "worker_lost", told, again))
        if not failed:
            return
        commit = commit_transcripts if batch.stage == "transcript" else commit_notes
        commit(self.ledger, self.store, (), failed)
        self._show_failed(instance, batch.id, batch.stage, [lease.key for lease in batch.leases])

    def unshown(self, instance: dg.DagsterInstance, stage: Stage) -> list[ClosedBatch]:
        """Return closed batches whose run died before it told Dagster; a run has to show them again."""
        with self.ledger.reading() as conn:
            closed = batches.unreported(conn, stage)
        found = []
        for batch in closed:
            if batch.run_id == HOLDER:  # given up by a tick that died: no run is needed to say so
                with self.ledger.reading() as conn:
                    keys = batches.keys_of(conn, batch.id)
                self._show_failed(instance, batch.id, stage, keys)
            elif _is_over(instance, batch.run_id):
                found.append(batch)
        return found

    def _show_failed(self, instance: dg.DagsterInstance, batch_id: str, stage: Stage, keys: Sequence[str]) -> None:
        if stage == "transcript":
            forget_ended(self.ledger, self.store, keys)
        with self.ledger.reading() as conn:
            again = retries.waiting(conn, keys)
            rows = [r for r in recordings.rows(conn, keys) if r.status == "failed" or r.recording.key in again]
        results = [Result(r.recording.key, "failed", r.reason_code, r.message or "") for r in rows]
        if results:
            mark_failed(instance, f"batch {batch_id}", results, [dg.AssetKey(a) for a in ASSETS[stage]])
        batches.mark_reported(self.ledger, batch_id)


def _run_of(instance: dg.DagsterInstance, batch: OpenBatch) -> dg.DagsterRun | None:
    """Return the run that claimed a batch, or the one that was asked for."""
    if batch.run_id:
        return instance.get_run_by_id(batch.run_id)
    wanted = {tags.BATCH: batch.id, tags.ATTEMPT: str(batch.attempt)}
    return next(iter(instance.get_runs(dg.RunsFilter(tags=wanted), limit=1)), None)


def _show_halved(instance: dg.DagsterInstance, run: dg.DagsterRun | None, halves: Sequence[str]) -> None:
    """Say where people look, which is the last run that died, how its recordings go on."""
    if not halves:
        return
    logger.warning("batch_halved", run=run and run.run_id, halves=halves)
    if run is not None:
        instance.report_engine_event(
            "Batch halved: every run that carried it died without a word. What is left of it is tried again in smaller "
            f"batches, so that one bad recording takes no other with it: runs with the tag {tags.BATCH} "
            f"{' or '.join(halves)}.",
            run,
        )


def _is_over(instance: dg.DagsterInstance, run_id: str | None) -> bool:
    """Whether Dagster says that a run is absent or has ended."""
    run = instance.get_run_by_id(run_id) if run_id else None
    return run is None or run.is_finished


def is_ours(run: dg.DagsterRun) -> bool:
    """Whether a run is of this code location: others may live on the same Dagster."""
    origin = run.remote_job_origin
    if origin is not None and origin.location_name != tags.LOCATION:
        return False
    selected = {key.to_user_string() for key in run.asset_selection or ()}
    return run.job_name in OURS or bool(selected & {a for assets in ASSETS.values() for a in assets})
