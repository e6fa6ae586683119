"""Uploads that come in parts: how far each has come, which objects hold its parts, and until when it is waited for.

The job itself is a submission, opened by jobs.py; storing bytes is intake/resumable.py's business. A row here ends with
the upload: one that is whole, cancelled or expired has none.

What surprises: nobody holds an upload. Its length so far is moved by whoever finds it as they saw it, so of two
replicas that are sent the same part one is told that it came too late, and a killed one leaves nothing locked. The
last part is settled before it is counted, because the whole is stored in between, under a key that all tries share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from diary_pipeline.ledger.acceptance import HOPELESS
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.quarantine import is_dropped
from diary_pipeline.ledger.statements import each, insert_missing, now
from diary_pipeline.ledger.submissions import is_waiting, refuse_in
from diary_pipeline.ledger.tables import WAITING, submissions
from diary_pipeline.ledger.tables_uploads import refused_uploads, upload_parts, uploads
from diary_pipeline.ledger.tombstones import AUDIO_ERASED


@dataclass(frozen=True)
class Upload:
    """An upload as it stands."""

    id: str
    owner: str
    file_name: str
    is_open: bool
    """It waits for more; False: it is whole, or its job has ended."""
    is_whole: bool
    received_bytes: int
    expected_bytes: int
    said: str = ""
    content_sha256: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class UploadPart:
    """Bytes that are stored, from `start_byte` on."""

    start_byte: int
    size_bytes: int
    object_key: str


def expect(ledger: Ledger, id: str, said: str, content_sha256: str | None, kept_s: float) -> None:
    """Note what an upload is, before its job is opened: a job without this could never be finished."""
    with ledger.writing() as tx:
        row = {"submission_id": id, "said": said, "content_sha256": content_sha256, "expires_at": now(tx) + kept_s}
        tx.execute(uploads.insert().values(**row))


def find(conn: sa.Connection, id: str, owner: str | None = None) -> Upload | None:
    """Return an upload that a job was opened for, or None; `owner` None: anybody's."""
    s, u = submissions.c, uploads.c
    columns = (s.id, s.owner, s.file_name, s.status, s.recording_key, s.received_bytes, s.expected_bytes)
    chosen = (
        sa.select(*columns, u.said, u.content_sha256, u.expires_at)
        .select_from(submissions.outerjoin(uploads, u.submission_id == s.id))
        .where(s.id == id, s.expected_bytes.is_not(None))
    )
    row = conn.execute(chosen if owner is None else chosen.where(s.owner == owner)).one_or_none()
    if row is None:
        return None
    waits = is_waiting(row.status, row.recording_key)
    return Upload(
        id=row.id,
        owner=row.owner,
        file_name=row.file_name,
        is_open=waits and row.expires_at is not None,
        is_whole=row.expires_at is None and row.received_bytes == row.expected_bytes,
        received_bytes=row.received_bytes or 0,
        expected_bytes=row.expected_bytes,
        said=row.said or "",
        content_sha256=row.content_sha256,
        expires_at=row.expires_at,
    )


def is_kept(code: str | None) -> bool:
    """Say whether a refusal with this code leaves the bytes of its upload to be tried again.

    Not what was erased, nor what no second look makes better: it would fill a disk for nothing.
    """
    return code != AUDIO_ERASED and code not in HOPELESS


def wanted(conn: sa.Connection, ids: Sequence[str], refused_kept_s: float) -> dict[str, bool]:
    """Say of each of these uploads that the ledger knows whether its bytes are still needed; this is the one rule.

    They are while its submission waits, and for so many seconds after it was refused, unless it was dropped, was tried
    again under another id, or its code keeps nothing (`is_kept`).
    """
    s, since = submissions.c, now(conn) - refused_kept_s
    columns = (s.id, s.status, s.recording_key, s.ended_at, s.reason_code)
    rows = each(conn, sa.select(*columns, is_dropped(s.id, s.ended_at).label("dropped")), s.id, ids)
    return {
        row.id: is_waiting(row.status, row.recording_key)
        or (row.status == "refused" and row.ended_at > since and not row.dropped and is_kept(row.reason_code))
        for row in rows
    }


def parts(conn: sa.Connection, id: str) -> list[UploadPart]:
    """Return what is stored of an upload, in the order of its bytes."""
    p = upload_parts.c
    chosen = sa.select(p.start_byte, p.size_bytes, p.object_key).where(p.submission_id == id).order_by(p.start_byte)
    return [UploadPart(*row) for row in conn.execute(chosen)]


def add(ledger: Ledger, id: str, part: UploadPart, kept_s: float) -> float | None:
    """Append a part and return until when the next is waited for; None: the upload is not as it was any more."""

    def added(tx: sa.Connection) -> float | None:
        if not _stands_at(tx, id, part.start_byte) or not insert_missing(tx, upload_parts, _row(id, part)):
            return None
        _count(tx, id, part, {})
        expires_at = now(tx) + kept_s
        tx.execute(uploads.update().where(uploads.c.submission_id == id).values(expires_at=expires_at))
        return expires_at

    return ledger.write(added)


def settle(ledger: Ledger, id: str, last: UploadPart) -> UploadPart | None:
    """Return the part that ends an upload from now on: this one, or another that was settled before; None as in `add`.

    It is not counted yet: whoever puts the whole together after this puts together the same bytes.
    """

    def settled(tx: sa.Connection) -> UploadPart | None:
        if not _stands_at(tx, id, last.start_byte):
            return None
        insert_missing(tx, upload_parts, _row(id, last))
        return parts(tx, id)[-1]

    return ledger.write(settled)


def complete(ledger: Ledger, id: str, last: UploadPart) -> bool:
    """Hand an upload to intake with its last bytes, all of it being stored as one; False as in `add`."""

    def completed(tx: sa.Connection) -> bool:
        if not _stands_at(tx, id, last.start_byte):
            return False
        _count(tx, id, last, {"not_before": 0.0, "fetching_since": None})
        return _forgotten(tx, id)

    return ledger.write(completed)


def reject(ledger: Ledger, id: str, last: UploadPart, code: str, message: str) -> bool:
    """Refuse an upload for what its last bytes make of it; False as in `add`, and where others settled how it ends."""

    def rejected(tx: sa.Connection) -> bool:
        if not _stands_at(tx, id, last.start_byte) or any(p.start_byte == last.start_byte for p in parts(tx, id)):
            return False
        refuse_in(tx, id, code, message)
        return True

    return ledger.write(rejected)


def expired(conn: sa.Connection, limit: int) -> list[str]:
    """Return uploads that nobody goes on with, the longest forgotten first."""
    due = sa.select(uploads.c.submission_id).where(uploads.c.expires_at < now(conn))
    return list(conn.execute(due.order_by(uploads.c.expires_at).limit(limit)).scalars())


def expire(ledger: Ledger, id: str, code: str, message: str) -> bool:
    """Fail an upload that nobody goes on with; False: somebody does since it was looked at, or it is whole."""

    def failed(tx: sa.Connection) -> bool:
        _hold(tx, id)
        due = (uploads.c.submission_id == id) & (uploads.c.expires_at < now(tx))
        if tx.execute(sa.select(uploads.c.submission_id).where(due)).first() is None:
            return False
        refuse_in(tx, id, code, message)  # one that ended otherwise stays as it is
        return True

    return ledger.write(failed)


def forget(ledger: Ledger, id: str) -> None:
    """Forget the parts of an upload, whose objects its caller removes; its job ended, or was never opened."""
    ledger.write(lambda tx: _forgotten(tx, id))


def abandon(tx: sa.Connection, id: str) -> None:
    """Have what came of an upload removed by the next sweep: its job has ended."""
    tx.execute(uploads.update().where(uploads.c.submission_id == id).values(expires_at=0.0))


def _stands_at(tx: sa.Connection, id: str, byte: int) -> bool:
    """Tell whether an upload is waited for and goes on at this byte, and hold it so until the transaction ends."""
    _hold(tx, id)
    as_seen = (submissions.c.id == id) & (sa.func.coalesce(submissions.c.received_bytes, 0) == byte)
    waited_for = sa.exists().where(uploads.c.submission_id == id)
    return tx.execute(sa.select(submissions.c.id).where(as_seen, waited_for, WAITING)).first() is not None


def _hold(tx: sa.Connection, id: str) -> None:
    """Hold an upload's job, before anything else is asked: what a statement that waited for it reads is older."""
    tx.execute(sa.select(submissions.c.id).where(submissions.c.id == id).with_for_update())


def _count(tx: sa.Connection, id: str, part: UploadPart, values: Mapping[str, object]) -> None:
    longer = {"received_bytes": part.start_byte + part.size_bytes, **values}
    tx.execute(submissions.update().where(submissions.c.id == id).values(**longer))


def _row(id: str, part: UploadPart) -> dict[str, object]:
    return {"submission_id": id, **asdict(part)}


def _forgotten(tx: sa.Connection, id: str) -> bool:
    for column in (upload_parts.c.submission_id, uploads.c.submission_id, refused_uploads.c.submission_id):
        tx.execute(column.table.delete().where(column == id))
    return True
