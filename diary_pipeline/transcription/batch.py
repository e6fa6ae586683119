"""The speech stage: every recording of a batch decoded once, judged, transcribed, checked, and all committed
together.

Choosing and leasing recordings was the ledger's business, writing Dagster events is defs'.

A recording that cannot be transcribed fails alone. A surrounding that does not work (no model, no store, a broken GPU)
says nothing about any recording: what is finished is committed, the error leaves the batch, and the rest is given back.

What surprises: a recording is transcribed before its audio is judged. Whether the end is missing is known only after
the last sample, and decoding twice would cost every good recording what a bad one wastes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from diary_pipeline.audio.decode import Decoder
from diary_pipeline.audio.levels import LevelMeter
from diary_pipeline.audio.limits import DEFAULT_LIMITS, AudioLimits
from diary_pipeline.audio.soundness import judge, measured
from diary_pipeline.catalogue.commit import TRIED_AGAIN, Failed, FinishedTranscript, commit_transcripts
from diary_pipeline.catalogue.overlay import corrected_transcript
from diary_pipeline.catalogue.read import corrections_of, heard_of
from diary_pipeline.core.batch import Batch, Check, Lease, Result, StageReport
from diary_pipeline.core.correction import Corrections
from diary_pipeline.core.errors import AudioRefused, PermanentError, TransientError
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Engine, Transcript, transcript_version
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.commits import Committed
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.pointers import Pointer, pointers_of
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import checkpoint_prefix
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription import report
from diary_pipeline.transcription.checkpoints import StoredCheckpoints, forget_ended, is_long
from diary_pipeline.transcription.files import TranscriptFiles
from diary_pipeline.transcription.plausibility import (
    audio_is_complete,
    language_is_certain,
    transcript_covers_audio,
    transcript_is_plausible,
)
from diary_pipeline.transcription.replacements import replaced
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear, Transcriber

LOG_EVERY_S = 300.0
"""Seconds of a recording between two lines of the log that say how far it has come."""

logger = log(__name__)


@dataclass(frozen=True)
class _Done:
    # One recording, ready to be committed or found committed.
    finished: FinishedTranscript
    effort: report.Figures = field(default_factory=dict)


class _Job:
    # One recording on its way through an engine; its figures are complete when its blocks are exhausted.
    def __init__(
        self, lease: Lease, recording: Recording, hints: Hints, *, version: str, path: Callable[[], Path]
    ) -> None:
        self.lease = lease
        self.recording = recording
        self.hints = hints
        self.version = version
        self.meter = LevelMeter()
        self.decoder: Decoder | None = None
        self.checkpoints: StoredCheckpoints | None = None
        self._path = path
        self._told_s = 0.0

    def finished_up_to(self, at_s: float) -> None:
        if at_s - self._told_s >= LOG_EVERY_S:
            self._told_s = at_s
            logger.info("transcribing", key=self.recording.key, at_s=round(at_s), of_s=self.recording.declared_s)

    def blocks(self) -> Iterator[Block]:
        path = self._path()
        self.decoder = Decoder(path)
        try:
            for block in self.decoder.blocks():
                self.meter.push(block)
                yield block
        except AudioRefused as error:  # the decoder knows the stored object's name, people know the file's
            raise AudioRefused(error.code, error.message.replace(path.name, self.recording.file_name)) from error


class TranscribeBatch:
    """Transcribes the recordings of a claimed batch and commits what is good, and why the rest is not."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        transcribers: Callable[[str], Transcriber],
        owners: Callable[[str], Owner],
        limits: AudioLimits = DEFAULT_LIMITS,
        *,
        files: TranscriptFiles | None = None,
        retry_after_s: Sequence[float] = (),
        on_progress: Callable[[Recording, float], None] = lambda _recording, _at_s: None,
    ) -> None:
        """`transcribers` gives the engine of a model name, `owners` what is known about a user.

        `retry_after_s`: pauses after which a crash is tried again.

        `on_progress` hears, after each window, how many seconds of a recording are transcribed.
        """
        self.ledger = ledger
        self.store = store
        self.transcribers = transcribers
        self.owners = owners
        self.limits = limits
        self.files = files
        self.retry_after_s = retry_after_s
        self.on_progress = on_progress

    def __call__(
        self,
        batch: Batch,
        on_result: Callable[[Result], None] = lambda _: None,
        on_reached: Callable[[str, float], None] = lambda _key, _at_s: None,
    ) -> StageReport:
        """Do the batch; one bad recording fails alone. `on_result` hears of each recording, before the one commit.

        `on_reached` hears, after each window, of how many seconds of which recording have been heard.
        A TransientError, of the surroundings or of `on_result`, ends the batch: what is finished is committed first.
        """
        tried: list[_Done | Failed | Result] = []
        broken: TransientError | None = None
        try:
            for outcome in self._outcomes(batch.leases, on_reached):
                tried.append(outcome)
                on_result(_result(outcome, Committed(0), {}))
        except TransientError as error:
            logger.warning("transcribing_stopped", code=error.code)
            broken = error
        # Those found go to the commit too: it adds no row for them, but settles their work, submissions and batch.
        finished = [t.finished for t in tried if isinstance(t, _Done)]
        failed = [t for t in tried if isinstance(t, Failed)]
        committed = (
            commit_transcripts(self.ledger, self.store, finished, failed) if finished or failed else Committed(0)
        )
        # Those found too: a file that is missing comes back.
        good = [(f.recording, f.transcript) for f in finished if f.recording.key not in committed.fenced]
        filed = self.files.sync(self._as_corrected(good)) if self.files else {}
        forget_ended(self.ledger, self.store, [*(lease.key for lease in batch.leases), *batch.settled])
        if broken is not None:
            raise broken
        results = (_result(t, committed, filed) for t in tried)
        return StageReport(
            "transcript", (*results, *map(_held, batch.held), *map(_settled, batch.settled)), committed.seq
        )

    def _as_corrected(self, good: Sequence[tuple[Recording, Transcript]]) -> list[tuple[Recording, Transcript]]:
        """Give transcripts as their owners read them: what is committed is what the machine heard."""
        put_right = corrections_of(self.ledger, self.store, [recording.key for recording, _ in good])
        return [(r, corrected_transcript(t, put_right.get(r.key, Corrections()).made)) for r, t in good]

    def _outcomes(
        self, leases: Sequence[Lease], on_reached: Callable[[str, float], None]
    ) -> Iterator[_Done | Failed | Result]:
        keys = [lease.key for lease in leases]
        with self.ledger.reading() as conn:
            known = {row.recording.key: row.recording for row in recordings.rows(conn, keys)}
            current = pointers_of(conn, keys, "transcript")
        jobs: defaultdict[str, list[_Job]] = defaultdict(list)
        for lease in leases:
            recording = known.get(lease.key)
            if recording is None:
                yield Result(lease.key, "failed", "recording_missing", f"Recording {lease.key} is not in the ledger.")
                continue
            try:
                found = self._found_or_job(lease, recording, current.get(lease.key))
            except PermanentError as error:
                found = self._failed(lease, recording, error)
            if isinstance(found, _Job):
                jobs[recording.whisper_model].append(found)
            else:
                yield found
        for model, some in jobs.items():  # the planner puts one model into a batch; a backfill may hold several
            yield from self._heard(self.transcribers(model), some, on_reached)

    def version_of(self, recording: Recording) -> str:
        """Return the version that a transcript of this recording would have today; loads its model once."""
        return self._wanted(recording)[1]

    def _wanted(self, recording: Recording) -> tuple[Hints, str]:
        engine = self.transcribers(recording.whisper_model).engine
        owner = self.owners(recording.owner)
        # The recording's own words first: a model reads only so many hints, from the front.
        vocabulary = tuple(dict.fromkeys((*recording.vocabulary, *owner.vocabulary)))
        hints = Hints(recording.language, owner.languages, vocabulary)
        wanted = transcript_version(
            recording.content_sha256,
            engine.key,
            language=recording.language,
            languages=owner.languages,
            vocabulary=vocabulary,
            replacements=owner.replacements,
        )
        return hints, wanted

    def _found_or_job(self, lease: Lease, recording: Recording, current: Pointer | None) -> _Done | Failed | _Job:
        hints, wanted = self._wanted(recording)
        if current is not None and current.object_id is not None and current.version == wanted:
            found = heard_of(self.ledger, self.store, [recording.key]).get(recording.key)
            if found is not None and found.version == wanted:
                return _Done(FinishedTranscript(recording, lease, found, _checks(found)))
        if recording.audio_removed:
            raise PermanentError(
                "audio_removed",
                f"The audio of {recording.file_name} was removed, as keep_audio asks; hand it in again to be heard.",
            )
        job = _Job(lease, recording, hints, version=wanted, path=lambda: self.store.path(recording.object_key))
        if is_long(recording):
            prefix = checkpoint_prefix(recording.owner, recording.content_sha256, wanted)
            job.checkpoints = StoredCheckpoints(self.store, prefix)
        return job

    def _heard(
        self, transcriber: Transcriber, jobs: Sequence[_Job], on_reached: Callable[[str, float], None]
    ) -> Iterator[_Done | Failed]:
        by_key = {job.recording.key: job for job in jobs}
        # Long ones first: our own weights hear their windows one after the other, beside those of all the others.
        first = sorted(jobs, key=lambda job: job.checkpoints is None)
        asked = (
            ToHear(job.recording.key, job.blocks, job.hints, job.checkpoints, partial(self._progress, job, on_reached))
            for job in first
        )
        for key, heard in transcriber.transcribe(asked):
            yield self._judged(by_key.pop(key), heard, transcriber.engine)
        for job in by_key.values():
            yield self._judged(job, LookupError("the engine never gave it back"), transcriber.engine)

    def _progress(self, job: _Job, on_reached: Callable[[str, float], None], at_s: float) -> None:
        job.finished_up_to(at_s)
        on_reached(job.recording.key, at_s)
        self.on_progress(job.recording, at_s)

    def _judged(self, job: _Job, heard: Heard | Exception, engine: Engine) -> _Done | Failed:
        if isinstance(heard, Exception):
            return self._failed(job.lease, job.recording, heard)
        try:
            return self._done(job, heard, engine)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad recording never sinks its batch
            return self._failed(job.lease, job.recording, error)

    def _failed(self, lease: Lease, recording: Recording, error: Exception) -> Failed:
        bound = logger.bind(key=recording.key)
        if isinstance(error, PermanentError):
            bound.warning("transcript_failed", code=error.code)
            return Failed(recording, lease, "transcript", error.code, error.message)
        bound.exception("transcription_crashed", error)
        message = f"Transcribing {recording.key} stopped at {type(error).__name__}; see the log of this run."
        return Failed(recording, lease, "transcript", "internal_error", message, self.retry_after_s)

    def _done(self, job: _Job, heard: Heard, engine: Engine) -> _Done:
        recording, decoder = job.recording, job.decoder
        if decoder is None:
            raise LookupError("the engine never opened the audio")
        figures = measured(decoder, job.meter)
        judge(recording.declared_s, figures, file_name=recording.file_name, limits=self.limits)
        transcript = Transcript(
            recording_key=recording.key,
            duration_s=heard.samples / RATE,
            language=heard.language,
            language_probability=heard.language_probability,
            segments=replaced(heard.segments, self.owners(recording.owner).replacements),
            engine=engine,
            version=job.version,
        )
        covers = transcript_covers_audio(transcript)
        if heard.samples != decoder.samples or (not covers.passed and covers.severity == "ERROR"):
            raise PermanentError(
                "transcript_incomplete",
                f"The transcript of {recording.key} does not account for every second, so it was not published.",
            )
        effort = report.effort(figures)
        complete = audio_is_complete(figures.duration_s, recording.declared_s, figures.damaged_packets)
        logger.info("transcribed", key=recording.key, **_loggable(transcript, effort))
        return _Done(FinishedTranscript(recording, job.lease, transcript, (complete, *_checks(transcript))), effort)


def _checks(transcript: Transcript) -> tuple[Check, ...]:
    return (transcript_covers_audio(transcript), transcript_is_plausible(transcript), language_is_certain(transcript))


def _loggable(transcript: Transcript, effort: report.Figures) -> Mapping[str, object]:
    return {"duration_s": transcript.duration_s, "language": transcript.language, **effort}


def _result(tried: _Done | Failed | Result, committed: Committed, filed: Mapping[str, Mapping[str, str]]) -> Result:
    if isinstance(tried, Result):
        return tried
    recording = tried.finished.recording if isinstance(tried, _Done) else tried.recording
    if recording.key in committed.fenced:
        return Result(recording.key, "skipped", "fenced", f"Another run took {recording.key} over; its result counts.")
    if isinstance(tried, Failed):
        again = TRIED_AGAIN if recording.key in committed.retried else ""
        return Result(recording.key, "failed", tried.code, f"{tried.message}{again}")
    transcript = tried.finished.transcript
    return Result(
        recording.key,
        "committed" if tried.effort and recording.key not in committed.already else "found",
        metadata={**report.figures(recording, transcript), **tried.effort, **filed.get(recording.key, {})},
        preview=report.preview(transcript),
        checks=tried.finished.checks,
    )


def _held(key: str) -> Result:
    return Result(key, "skipped", "held_elsewhere", f"Another live run is transcribing {key}.")


def _settled(key: str) -> Result:
    return Result(key, "skipped", "settled_already", f"{key} was done before, or another batch carries it by now.")
