"""Recordings as they stand: what was accepted, how far each is, why it failed.

How one comes to be stands in acceptance.py (`accept` is offered here too); how one moves on, in settling.py.
The surprise: `whisper_model`, `language` and `vocabulary` are what is *wanted* now; what was used stands in the
catalogue.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.recording import RecordedAt, Recording
from diary_pipeline.ledger.acceptance import Accepted, accept
from diary_pipeline.ledger.statements import chunks
from diary_pipeline.ledger.tables import recordings, work

__all__ = ["Accepted", "RecordingRow", "accept", "ended", "find", "get", "known", "page", "rows"]


@dataclass(frozen=True)
class RecordingRow:
    """A recording and how it stands."""

    recording: Recording
    status: str
    failed_stage: str | None
    reason_code: str | None
    message: str | None


def get(conn: sa.Connection, key: str) -> Recording:
    """Return one recording."""
    row = conn.execute(sa.select(recordings).where(recordings.c.key == key)).one_or_none()
    if row is None:
        raise NotFound("recording_missing", f"There is no recording {key}; `diary notes` shows those that there are.")
    return _recording(row)


def find(conn: sa.Connection, owner: str, content_sha256: str) -> Recording | None:
    """Return the recording that an owner's audio became, if it was accepted before."""
    same = (recordings.c.owner == owner) & (recordings.c.content_sha256 == content_sha256)
    row = conn.execute(sa.select(recordings).where(same)).one_or_none()
    return _recording(row) if row else None


def rows(conn: sa.Connection, keys: Sequence[str]) -> list[RecordingRow]:
    """Return recordings with their status, in the order of `keys`; unknown ones are left out."""
    found: dict[str, RecordingRow] = {}
    for some in chunks(dict.fromkeys(keys)):
        chosen = sa.select(recordings).where(recordings.c.key.in_(some))
        found |= {row.key: _recording_row(row) for row in conn.execute(chosen)}
    return [found[key] for key in dict.fromkeys(keys) if key in found]


def known(conn: sa.Connection, keys: Sequence[str]) -> set[str]:
    """Return those keys that are recordings."""
    found: set[str] = set()
    for some in chunks(dict.fromkeys(keys)):
        found.update(conn.execute(sa.select(recordings.c.key).where(recordings.c.key.in_(some))).scalars())
    return found


def ended(conn: sa.Connection, keys: Sequence[str], stage: Stage) -> list[Recording]:
    """Return those recordings whose work on a stage is done or has failed, and which nobody is at again."""
    found: list[Recording] = []
    over = (work.c.stage == stage) & work.c.state.in_(("done", "failed"))
    for some in chunks(dict.fromkeys(keys)):
        mine = sa.select(work.c.recording_key).where(over, work.c.recording_key.in_(some))
        found += map(_recording, conn.execute(sa.select(recordings).where(recordings.c.key.in_(mine))))
    return found


def page(conn: sa.Connection, *, limit: int) -> list[RecordingRow]:
    """Return recordings, the last accepted first."""
    chosen = sa.select(recordings).order_by(recordings.c.id.desc()).limit(limit)
    return [_recording_row(row) for row in conn.execute(chosen)]


def accepted_since(conn: sa.Connection, at: float, limit: int) -> list[Recording]:
    """Return the recordings accepted from an instant on, the last first; looks at no more than `limit`."""
    last = sa.select(recordings).order_by(recordings.c.id.desc()).limit(limit)
    return [_recording(row) for row in conn.execute(last) if row.created_at >= at]


def owners(conn: sa.Connection) -> list[str]:
    """Return everybody who has a recording; walks an index of them all."""
    return list(conn.execute(sa.select(recordings.c.owner).distinct()).scalars())


def of_owner(conn: sa.Connection, owner: str, after: str, limit: int) -> list[Recording]:
    """Return an owner's recordings in the order of their content's hash, from behind a hash on."""
    mine = (recordings.c.owner == owner) & (recordings.c.content_sha256 > after)
    ordered = sa.select(recordings).where(mine).order_by(recordings.c.content_sha256).limit(limit)
    return [_recording(row) for row in conn.execute(ordered)]


def _recording_row(row: sa.Row[tuple[object, ...]]) -> RecordingRow:
    return RecordingRow(_recording(row), row.status, row.failed_stage, row.reason_code, row.message)


def _recording(row: sa.Row[tuple[object, ...]]) -> Recording:
    return Recording(
        key=row.key,
        owner=row.owner,
        content_sha256=row.content_sha256,
        file_name=row.file_name,
        object_key=row.object_key,
        size_bytes=row.size_bytes,
        container=row.container,
        declared_s=row.declared_s,
        recorded_at=RecordedAt(
            at=dt.datetime.fromtimestamp(row.recorded_at, dt.UTC),
            zone=row.recorded_zone,
            source=row.recorded_at_source,
            confidence=row.recorded_at_confidence,
            day=dt.date.fromisoformat(row.recorded_day),
            note=row.recorded_at_note,
        ),
        whisper_model=row.whisper_model,
        language=row.language,
        title=row.title,
        tags=tuple(row.tags),
        vocabulary=tuple(row.vocabulary),
        submission_id=row.submission_id,
        audio_removed=row.audio_removed_at is not None,
    )
