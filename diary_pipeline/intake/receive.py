"""One submission becomes a recording, or a refusal with a code.

Refused here is what the door can see: no file, no such model, a header that is no sound recording. What only decoding
shows is found by the transcription. The order makes a crash harmless at every point: the submission row stands already,
the audio is durable in the object store before the recording row names it, and a second try finds the same content
under the same name.

Where the bytes are, and how to read them, is near.py's business and fetch.py's. The surprise: they lie in a local file
before anything is stored, because an object is named after its content, which is known only after the last byte. An
error of the source concerns one file; one of the scratch folder or the store is ours, and refuses nothing.
"""

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.audio.probe import probe
from diary_pipeline.audio.recorded_at import recorded_at
from diary_pipeline.core.errors import DiaryError, PermanentError
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import AudioFacts, RecordedAt, Recording, partition_key
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake.announced import IN_BUCKET
from diary_pipeline.intake.names import storable
from diary_pipeline.intake.near import GONE, NotNow, Source, source_of, unwritable
from diary_pipeline.intake.options import DETECT, NOTHING, Options, instant
from diary_pipeline.intake.scratch import scratch_file
from diary_pipeline.intake.submit import check_model
from diary_pipeline.ledger import recordings, refused_uploads, submissions, tombstones, uploads
from diary_pipeline.ledger.acceptance import AudioGoing
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import audio_key
from diary_pipeline.storage.store import ObjectStore

_GUESSED_BYTES_PER_S = 8_000  # 64 kbit/s speech, for planning a batch when the header names no duration
_LATEST_S = 4_102_444_800.0  # the year 2100; file systems hold times that no calendar does
_UNDATED = 0.1
"""Confidence in a date that says only: not later."""
logger = log(__name__)


@dataclass(frozen=True)
class Rules:
    """What the door is told about this deployment."""

    owners: Callable[[str], Owner]
    limits: AudioLimits
    default_model: str
    allowed_models: Collection[str]
    seal: Seal
    """Recognises audio that was erased."""
    scratch: Path
    """Private local folder, see scratch.py."""


@dataclass(frozen=True)
class Received:
    """What became of one submission."""

    submission_id: str
    file_name: str
    outcome: Literal["accepted", "duplicate", "refused", "waiting"]
    """`waiting`: the file is changing or out of reach; a later call looks again."""
    key: str | None = None
    code: str | None = None
    message: str = ""


@dataclass(frozen=True)
class _Taken:
    path: Path
    wanted: Options
    facts: AudioFacts
    spoken: RecordedAt
    sha256: str


def receive(
    ledger: Ledger, store: ObjectStore, submission: Submission, rules: Rules, fetched: Source | None = None
) -> Received:
    """Look at the bytes of a submission and accept it, refuse it, or leave it for a later call.

    `fetched`: where they are now; without it they are here since it was submitted.
    """
    source, sha256, is_kept = fetched, None, False
    try:
        with scratch_file(rules.scratch) as copy:
            source = source or source_of(submission, store)
            check_model(Options.read(submission.options).whisper_model, rules.allowed_models)
            zone = rules.owners(submission.owner).time_zone
            path, sha256 = source.bring(copy, rules.limits)
            taken = _take(submission, rules, source, zone, (path, sha256))
            received = _keep(ledger, store, submission, taken, rules)
    except (NotNow, AudioGoing) as error:
        logger.warning("source_not_ready", submission=submission.id, code=error.code)
        return Received(submission.id, submission.file_name, "waiting", code=error.code, message=error.message)
    except PermanentError as error:
        received = refuse(ledger, submission, error)
        is_kept = source is not None and source.is_handed_in and uploads.is_kept(error.code)
        if is_kept and sha256 is not None:
            refused_uploads.note(ledger, submission.id, submission.owner, sha256)
    else:
        if source.seen:
            _remember(ledger, submission, source.seen.size_bytes, source.seen.mtime_ns)
    if source and not is_kept:
        source.end()
    return received


def refuse(ledger: Ledger, submission: Submission, error: DiaryError) -> Received:
    """End a submission that cannot become a recording."""
    if error.code == tombstones.AUDIO_ERASED and submission.source in ("folder", IN_BUCKET):
        # Nobody handed it in: the file lies there still, and its name is not to be told again. That it was seen is
        # remembered, or it would be read at every look into the folder or the bucket.
        submissions.drop(ledger, submission.id)
        logger.info("erased_file_left_out", submission=submission.id)
        return Received(submission.id, submission.file_name, "refused", code=error.code, message=error.message)
    message = storable(error.message)
    submissions.refuse(ledger, submission.id, error.code, message)
    if error.code == GONE:
        # The disk may come back with the file as it was: make a scan take it for a changed one.
        _remember(ledger, submission, -1, -1)
    logger.warning("refused", submission=submission.id, code=error.code)
    return Received(submission.id, submission.file_name, "refused", code=error.code, message=message)


def _take(submission: Submission, rules: Rules, source: Source, zone: str, brought: tuple[Path, str]) -> _Taken:
    path, sha256 = brought
    asked = Options.read(submission.options)
    wanted = source.sidecar.under(asked)
    if asked.sha256 not in {None, sha256}:
        raise PermanentError(
            "checksum_mismatch", f"{submission.file_name} is not what its sha256 says; send the file again."
        )
    try:
        facts = probe(path, rules.limits, submission.file_name)
        spoken = _spoken(submission, source, facts, wanted.recorded_at, zone)
    except PermanentError:
        raise
    except OSError as error:
        raise unwritable(rules.scratch, error) from error
    except Exception as error:
        # A defect of ours or of a library that one odd file brings out must not hold up the files behind it.
        logger.exception("intake_failed", submission=submission.id)
        raise PermanentError(
            "intake_failed", f"{submission.file_name} could not be examined ({type(error).__name__}, see the log)."
        ) from error
    if source.sidecar.code:
        logger.warning("sidecar_ignored", submission=submission.id, code=source.sidecar.code)
        spoken = replace(spoken, note=f"{spoken.note} The sidecar file was left out ({source.sidecar.code}).".strip())
    return _Taken(path, wanted, facts, spoken, sha256)


def _spoken(submission: Submission, source: Source, facts: AudioFacts, told: str | None, zone: str) -> RecordedAt:
    modified_s = source.modified_s
    if source.seen is None and modified_s is not None and modified_s >= submission.created_at:
        modified_s = None  # a server that stamps every answer with the time of the answer
    changed_s = min(max(submission.created_at if modified_s is None else modified_s, 0.0), _LATEST_S)
    spoken = recorded_at(
        file_name=submission.file_name,
        tags=facts.tags,
        container=facts.container,
        duration_s=facts.declared_s,
        mtime=dt.datetime.fromtimestamp(changed_s, dt.UTC),
        zone=zone,
        explicit=instant(told, zone) if told else None,
    )
    if modified_s is not None or spoken.source != "file_time":
        return spoken
    return replace(spoken, confidence=_UNDATED, note="Nothing says when it was spoken; this is when it was handed in.")


def _keep(ledger: Ledger, store: ObjectStore, submission: Submission, taken: _Taken, rules: Rules) -> Received:
    with ledger.reading() as conn:
        if tombstones.stands(conn, rules.seal, submission.owner, taken.sha256):
            raise tombstones.refusal(submission.file_name, submission.owner)
    if not store.exists(object_key := audio_key(submission.owner, taken.sha256)):
        store.put_file(object_key, taken.path)
    try:
        received = _accept(ledger, submission, taken, object_key, rules)
    except PermanentError:  # erased meanwhile, or its submission was: what was just stored must not stay
        _agree(ledger, store, submission.owner, taken, object_key)
        raise
    _agree(ledger, store, submission.owner, taken, object_key)
    return received


def _agree(ledger: Ledger, store: ObjectStore, owner: str, taken: _Taken, object_key: str) -> None:
    """Have the audio stored where its recording stands, and nowhere else.

    Looks again after each change: another submission of the same bytes may be accepted, erased or cancelled meanwhile,
    and whoever handles it does the same, so the last to look leaves both in agreement.
    """
    while True:
        with ledger.reading() as conn:
            stands = recordings.find(conn, owner, taken.sha256) is not None
        if store.exists(object_key) == stands:
            return
        if stands:
            store.put_file(object_key, taken.path)
        else:
            store.delete(object_key)


def _accept(ledger: Ledger, submission: Submission, taken: _Taken, object_key: str, rules: Rules) -> Received:
    with ledger.reading() as conn:
        known = recordings.find(conn, submission.owner, taken.sha256)
    asked = Options.read(submission.options)
    vocabulary = tuple(term for term in taken.wanted.vocabulary if term != NOTHING)
    if known is not None and not asked.vocabulary:  # a sidecar tells of new recordings only
        vocabulary = known.vocabulary
    elif asked.vocabulary == (NOTHING,):
        vocabulary = ()
    language = taken.wanted.language or (known.language if known else None)
    recording = Recording(
        key=partition_key(taken.spoken.day, submission.file_name, submission.owner, taken.sha256),
        owner=submission.owner,
        content_sha256=taken.sha256,
        file_name=submission.file_name,
        object_key=object_key,
        size_bytes=taken.facts.size_bytes,
        container=taken.facts.container,
        declared_s=taken.facts.declared_s,
        recorded_at=taken.spoken,
        # Who asks for nothing gets what is there: a copy of a file must not change the model its owner once chose.
        whisper_model=taken.wanted.whisper_model or (known.whisper_model if known else rules.default_model),
        language=None if language == DETECT else language,
        title=taken.wanted.title,
        tags=taken.wanted.tags,
        vocabulary=vocabulary,
        submission_id=submission.id,
    )
    accepted = recordings.accept(
        ledger,
        submission.id,
        recording,
        submission.priority,
        taken.facts.declared_s or taken.facts.size_bytes / _GUESSED_BYTES_PER_S,
        tombstone=tombstones.tombstone(rules.seal, submission.owner, taken.sha256),
    )
    outcome: Literal["duplicate", "accepted"] = "duplicate" if accepted.duplicate else "accepted"
    logger.info("received", submission=submission.id, key=accepted.key, outcome=outcome)
    return Received(submission.id, submission.file_name, outcome, key=accepted.key)


def _remember(ledger: Ledger, submission: Submission, size_bytes: int, mtime_ns: int) -> None:
    # The file may have changed between submission and now; what was taken is what counts as seen.
    with ledger.reading() as conn:
        seen = submissions.seen(conn, submission.owner, [submission.uri]).get(submission.uri)
    if seen and seen.submission_id == submission.id and (seen.size_bytes, seen.mtime_ns) != (size_bytes, mtime_ns):
        submissions.remember(ledger, submission.owner, submission.uri, size_bytes, mtime_ns, submission.id)
