"""The speech stage: every recording of a batch decoded once, judged, transcribed, checked, and all committed
together.

Choosing and leasing recordings was the ledger's business, writing Dagster events is defs'.

A recording that cannot be transcribed fails alone. A surrounding that does not work (no model, no store, a broken GPU)
says nothing about any recording: what is finished is committed, the error leaves the batch, and the rest is given back.

What surprises: a recording is transcribed before its audio is judged. Whether the end is missing is known only after
the last sample, and decoding twice would cost every good recording what a bad one wastes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from diary_pipeline.audio.decode import Decoder
from diary_pipeline.audio.levels import LevelMeter
from diary_pipeline.audio.limits import DEFAULT_LIMITS, AudioLimits
from diary_pipeline.audio.soundness import Measured, judge, measured
from diary_pipeline.catalogue.commit import Failed, FinishedTranscript, commit_transcripts
from diary_pipeline.catalogue.read import transcript_of
from diary_pipeline.core.batch import Batch, Check, Lease, Result, StageReport
from diary_pipeline.core.errors import AudioRefused, PermanentError, TransientError
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript, transcript_version
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.commits import Committed, Pointer, pointers_of
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription import report
from diary_pipeline.transcription.plausibility import (
    audio_is_complete,
    language_is_certain,
    transcript_covers_audio,
    transcript_is_plausible,
)
from diary_pipeline.transcription.transcriber import RATE, Block, Hints, Transcriber

logger = log(__name__)


@dataclass(frozen=True)
class _Done:
    # One recording, ready to be committed or found committed.
    finished: FinishedTranscript
    effort: report.Figures = field(default_factory=dict)


class TranscribeBatch:
    """Transcribes the recordings of a claimed batch and commits what is good, and why the rest is not."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        transcribers: Callable[[str], Transcriber],
        owners: Callable[[str], Owner],
        limits: AudioLimits = DEFAULT_LIMITS,
    ) -> None:
        """`transcribers` gives the engine of a model name, `owners` what is known about a user."""
        self.ledger = ledger
        self.store = store
        self.transcribers = transcribers
        self.owners = owners
        self.limits = limits

    def __call__(self, batch: Batch, on_result: Callable[[Result], None] = lambda _: None) -> StageReport:
        """Do the batch; one bad recording fails alone. `on_result` hears of each recording, before the one commit.

        A TransientError, of the surroundings or of `on_result`, ends the batch: what is finished is committed first.
        """
        keys = [lease.key for lease in batch.leases]
        with self.ledger.reading() as conn:
            known = {row.recording.key: row.recording for row in recordings.rows(conn, keys)}
            current = pointers_of(conn, keys, "transcript")
        tried: list[_Done | Failed | Result] = []
        broken: TransientError | None = None
        for lease in batch.leases:
            try:
                tried.append(self._try(lease, known.get(lease.key), current.get(lease.key)))
                on_result(_result(tried[-1], Committed(0)))
            except TransientError as error:
                broken = error
                break
        # Those found go to the commit too: it adds no row for them, but settles their work, submissions and batch.
        finished = [t.finished for t in tried if isinstance(t, _Done)]
        failed = [t for t in tried if isinstance(t, Failed)]
        committed = (
            commit_transcripts(self.ledger, self.store, finished, failed) if finished or failed else Committed(0)
        )
        if broken is not None:
            raise broken
        results = (_result(t, committed) for t in tried)
        return StageReport(
            "transcript", (*results, *map(_held, batch.held), *map(_settled, batch.settled)), committed.seq
        )

    def _try(self, lease: Lease, recording: Recording | None, current: Pointer | None) -> _Done | Failed | Result:
        if recording is None:
            return Result(lease.key, "failed", "recording_missing", f"Recording {lease.key} is not in the ledger.")
        bound = logger.bind(key=lease.key)
        try:
            return self._found_or_made(lease, recording, current)
        except TransientError as error:
            bound.warning("transcribing_stopped", code=error.code)
            raise
        except PermanentError as error:
            bound.warning("transcript_failed", code=error.code)
            return Failed(recording, lease, "transcript", error.code, error.message)
        except Exception as error:  # noqa: BLE001 - one bad recording never sinks its batch
            bound.exception("transcription_crashed")
            message = f"Transcribing {lease.key} stopped at {type(error).__name__}; see the log of this run."
            return Failed(recording, lease, "transcript", "internal_error", message)

    def _found_or_made(self, lease: Lease, recording: Recording, current: Pointer | None) -> _Done:
        transcriber = self.transcribers(recording.whisper_model)
        owner = self.owners(recording.owner)
        hints = Hints(recording.language, owner.languages, owner.vocabulary)
        wanted = transcript_version(
            recording.content_sha256, transcriber.engine.key, recording.language, owner.vocabulary
        )
        if current is not None and current.object_id is not None and current.version == wanted:
            found = transcript_of(self.ledger, self.store, recording.key)
            if found is not None and found.version == wanted:
                return _Done(FinishedTranscript(recording, lease, found, _checks(found)))
        began = time.monotonic()
        transcript, figures = self._make(recording, transcriber, hints, wanted)
        effort = report.effort(figures, time.monotonic() - began)
        complete = audio_is_complete(figures.duration_s, recording.declared_s, figures.damaged_packets)
        checks = (complete, *_checks(transcript))
        logger.info("transcribed", key=recording.key, **_loggable(transcript, effort))
        return _Done(FinishedTranscript(recording, lease, transcript, checks), effort)

    def _make(
        self, recording: Recording, transcriber: Transcriber, hints: Hints, version: str
    ) -> tuple[Transcript, Measured]:
        path = self.store.path(recording.object_key)
        decoder, meter = Decoder(path), LevelMeter()
        try:
            heard = transcriber.transcribe(_metered(decoder, meter), hints)
        except AudioRefused as error:  # the decoder knows the stored object's name, people know the file's
            raise AudioRefused(error.code, error.message.replace(path.name, recording.file_name)) from error
        figures = measured(decoder, meter)
        judge(recording.declared_s, figures, file_name=recording.file_name, limits=self.limits)
        transcript = Transcript(
            recording_key=recording.key,
            duration_s=heard.samples / RATE,
            language=heard.language,
            language_probability=heard.language_probability,
            segments=heard.segments,
            engine=transcriber.engine,
            version=version,
        )
        covers = transcript_covers_audio(transcript)
        if heard.samples != decoder.samples or (not covers.passed and covers.severity == "ERROR"):
            raise PermanentError(
                "transcript_incomplete",
                f"The transcript of {recording.key} does not account for every second, so it was not published.",
            )
        return transcript, figures


def _metered(decoder: Decoder, meter: LevelMeter) -> Iterator[Block]:
    for block in decoder.blocks():
        meter.push(block)
        yield block


def _checks(transcript: Transcript) -> tuple[Check, ...]:
    return (transcript_covers_audio(transcript), transcript_is_plausible(transcript), language_is_certain(transcript))


def _loggable(transcript: Transcript, effort: report.Figures) -> Mapping[str, object]:
    return {"duration_s": transcript.duration_s, "language": transcript.language, **effort}


def _result(tried: _Done | Failed | Result, committed: Committed) -> Result:
    if isinstance(tried, Result):
        return tried
    recording = tried.finished.recording if isinstance(tried, _Done) else tried.recording
    if recording.key in committed.fenced:
        return Result(recording.key, "skipped", "fenced", f"Another run took {recording.key} over; its result counts.")
    if isinstance(tried, Failed):
        return Result(recording.key, "failed", tried.code, tried.message)
    transcript = tried.finished.transcript
    return Result(
        recording.key,
        "committed" if tried.effort and recording.key not in committed.already else "found",
        metadata={**report.figures(recording, transcript), **tried.effort},
        preview=report.preview(transcript),
        checks=tried.finished.checks,
    )


def _held(key: str) -> Result:
    return Result(key, "skipped", "held_elsewhere", f"Another live run is transcribing {key}.")


def _settled(key: str) -> Result:
    return Result(key, "skipped", "settled_already", f"{key} was done before, or another batch carries it by now.")
