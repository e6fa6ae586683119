"""Which versions a submission got: written down as it ends, because its recording goes on without it.

Expressions for whoever ends submissions (settling.py, acceptance.py, jobs_end.py); jobs_results.py reads them back.

What surprises: a sequence number would not do. When somebody goes back to an old version and the log is merged after
that, the newest version before a number may be older than the one that was there.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from diary_pipeline.ledger.tables import history, pointers, submissions

Versions = Mapping[str, sa.ColumnElement[str | None] | None]
"""Values for the columns of `submissions`."""

NOTHING: Versions = {"transcript_version": None, "note_version": None}


def current(key: str | sa.ColumnElement[str | None]) -> Versions:
    """Give what is current of a recording; a note of an earlier transcript is not."""
    t, n = pointers.alias(), pointers.alias()
    is_transcript = (t.c.subject == key) & (t.c.kind == "transcript") & t.c.object_id.is_not(None)
    is_note = (n.c.subject == key) & (n.c.kind == "note") & n.c.object_id.is_not(None)
    return {
        "transcript_version": sa.select(t.c.version).where(is_transcript).scalar_subquery(),
        "note_version": sa.select(n.c.version).where(is_note, is_transcript, n.c.seq > t.c.seq).scalar_subquery(),
    }


def current_transcript(key: str | sa.ColumnElement[str | None]) -> Versions:
    """Give the transcript alone: its note failed, or nobody waits for it any more."""
    return {**NOTHING, "transcript_version": current(key)["transcript_version"]}


def follow(tx: sa.Connection, key: str, before: str, after: str) -> None:
    """Let those that got a note have the one that was written in its place, because what was said was put right.

    Their owner asked for that; a note that is written anew for any other reason is not theirs.
    """
    theirs = (submissions.c.recording_key == key) & (submissions.c.note_version == before)
    tx.execute(submissions.update().where(theirs).values(note_version=after))


def at_their_end() -> Versions:
    """Give what those got that ended before it was written down, as far as history still tells."""
    t, n = history.alias(), history.alias()
    newest = _newest_before(t, "transcript")
    note = _newest_before(n, "note").where(n.c.seq > newest.with_only_columns(t.c.seq).scalar_subquery())
    return {
        "transcript_version": newest.correlate(submissions).scalar_subquery(),
        "note_version": note.correlate(submissions).scalar_subquery(),
    }


def _newest_before(rows: sa.FromClause, kind: str) -> sa.Select[tuple[str | None]]:
    mine = (rows.c.subject == submissions.c.recording_key) & (rows.c.kind == kind)
    before = sa.select(rows.c.version).where(mine, rows.c.seq <= submissions.c.commit_seq)
    return before.order_by(rows.c.seq.desc()).limit(1)
