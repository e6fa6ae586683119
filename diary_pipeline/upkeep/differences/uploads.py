"""Uploads against submissions: bytes that no job waits for any more.

Intake deletes what it has taken in, and whoever cancels a job what came of it; a crash in between leaves it to this.
An upload in parts that a job still waits for ends by its own clock, in intake/resumable.py, which tells its client.

What surprises: the month says nothing. There are never more uploads than what waits, so all of them are looked at.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import submissions
from diary_pipeline.storage.keys import UPLOAD_PARTS, UPLOADS
from diary_pipeline.upkeep.differences.finding import Finding, Look

KEPT_S = 24 * 3600.0
"""The bytes come before the job, and an upload in parts may pause for a night."""
_AT_ONCE = 500


def unwanted(look: Look) -> Iterator[Finding]:
    """Remove uploads of a day ago whose submission is not there, has ended or has become a recording."""
    keys = (key for prefix in (UPLOADS, UPLOAD_PARTS) for key in look.store.list(prefix))
    counted: dict[str, int] = {}
    while some := list(islice(keys, _AT_ONCE)):
        for key in _unclaimed(look, some):
            for finding in _of(look, key):
                # Each by itself: what is left comes first at every look, and must not keep the others from theirs.
                counted[finding.state] = counted.get(finding.state, 0) + 1
                if counted[finding.state] <= look.limit:
                    yield finding
                if counted.get(look.mended, 0) >= look.limit:
                    return


def _unclaimed(look: Look, keys: Sequence[str]) -> list[str]:
    """Return those of which no submission waits, by one question to the ledger."""
    with look.ledger.reading() as conn:
        waiting = {s.id for s in submissions.get(conn, [_id(key) for key in keys]) if s.waits}
    return [key for key in keys if _id(key) not in waiting]


def _id(key: str) -> str:
    return key.split("/")[1]


def _of(look: Look, key: str) -> Iterator[Finding]:
    try:
        age_s = time.time() - look.store.written_at(key)
    except NotFound:  # taken in meanwhile
        return
    if age_s < KEPT_S:
        return
    if look.is_before_restore(age_s):
        told = "uploaded after the backup was taken that was put back; hand it in again, then remove it"
        yield Finding("orphan_upload", key, "left", told)
        return
    if not look.dry_run:
        look.store.delete(key)
    yield Finding("orphan_upload", key, look.mended, f"written {age_s / 3600:.0f} h ago, and no job waits for it")
