"""Uploads against submissions: bytes that no job waits for any more.

Which bytes somebody may still need is ledger/uploads.py's rule, and intake/resumable.py removes the others, as it does
when an upload expires; what a crash left, and refused uploads that were kept long enough, are found here.

What surprises: the month says nothing. There are never more uploads than what waits or was refused lately, so all of
them are looked at.
"""

import time
from collections.abc import Iterator
from itertools import groupby, islice

from diary_pipeline.core.errors import NotFound
from diary_pipeline.intake import resumable
from diary_pipeline.ledger import uploads
from diary_pipeline.storage.keys import UPLOAD_PARTS, UPLOADS
from diary_pipeline.upkeep.differences.finding import Finding, Look

KEPT_S = 24 * 3600.0
"""The bytes come before the job, and an upload in parts may pause for a night."""
_AT_ONCE = 500


def unwanted(look: Look) -> Iterator[Finding]:
    """Remove uploads of a day ago that nobody needs any more."""
    counted: dict[str, int] = {}
    for prefix in (UPLOADS, UPLOAD_PARTS):
        found = groupby(look.store.list(prefix), lambda key: key.split("/")[1])
        stored = ((id, max(filter(None, (_written_at(look, key) for key in keys)), default=None)) for id, keys in found)
        while some := dict(islice(stored, _AT_ONCE)):
            with look.ledger.reading() as conn:
                wanted = uploads.wanted(conn, list(some), look.refused_kept_s)
            for id, written_at in some.items():
                if written_at is None or wanted.get(id) or (age_s := time.time() - written_at) < KEPT_S:
                    continue
                finding = _finding(look, f"{prefix}{id}", age_s, is_known=id in wanted)
                # Each by itself: what is left comes first at every look, and must not keep the others from theirs.
                counted[finding.state] = counted.get(finding.state, 0) + 1
                if counted[finding.state] <= look.limit:
                    if finding.state == "mended":
                        resumable.remove(look.ledger, look.store, id)
                    yield finding
                if counted.get(look.mended, 0) >= look.limit:
                    return


def _written_at(look: Look, key: str) -> float | None:
    try:
        return look.store.written_at(key)
    except NotFound:  # taken in meanwhile
        return None


def _finding(look: Look, key: str, age_s: float, *, is_known: bool) -> Finding:
    if not is_known and look.is_before_restore(age_s):
        told = "uploaded after the backup was taken that was put back; hand it in again, then remove it"
        return Finding("orphan_upload", key, "left", told)
    return Finding("orphan_upload", key, look.mended, f"written {age_s / 3600:.0f} h ago, and no job needs it")
