"""Stored audio against recordings: sound that nobody owns, and recordings whose sound is gone.

A source that stays where it is (`gs://`) is not ours to look after.

What surprises: a file that is being taken in has its audio stored before its recording exists. Such audio is young, or,
when the same bytes lay there before, belongs to somebody whose files wait: neither is removed.
"""

import time
from collections.abc import Iterator
from itertools import groupby, islice

from diary_pipeline.core.batch import ENDED
from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import recordings, submissions
from diary_pipeline.ledger.pointers import pointer
from diary_pipeline.storage.keys import AUDIO, owner_hash
from diary_pipeline.upkeep.differences.finding import Finding, Look

PAGE = 500


def without_each_other(look: Look) -> Iterator[Finding]:
    """Remove audio without a recording, and tell of recordings without audio; of recent ones only the latter."""
    if look.since is not None:
        with look.ledger.reading() as conn:
            recent = recordings.accepted_since(conn, look.since, look.limit)
        for recording in recent:
            yield from _silent(look, recording)
        return
    with look.ledger.reading() as conn:
        owners = {owner_hash(owner): owner for owner in recordings.owners(conn)}
    unowned: list[Finding] = []
    silent: list[Finding] = []
    for of_owner, keys in groupby(look.store.list(AUDIO), key=lambda key: key.split("/")[1]):
        owner = owners.pop(of_owner, None)
        for key, silenced in _beside(keys, _of_owner(look, owner)):
            if silenced is None and len(unowned) < look.limit:
                unowned += _unowned(look, key, of_owner, owner)
            elif silenced is not None and len(silent) < look.limit:
                silent += _silent(look, silenced)
    for owner in owners.values():
        theirs = (found for r in _of_owner(look, owner) for found in _silent(look, r))
        silent += islice(theirs, look.limit - len(silent))
    yield from (*unowned, *silent)


def _beside(keys: Iterator[str], known: Iterator[Recording]) -> Iterator[tuple[str, Recording | None]]:
    """Yield each key that no recording has, and each recording that no key has; both come in the order of hashes."""
    recording = next(known, None)
    for key in keys:
        sha256 = key.rpartition("/")[2]
        while recording is not None and recording.content_sha256 < sha256:
            yield recording.object_key, recording
            recording = next(known, None)
        if recording is not None and recording.content_sha256 == sha256:
            recording = next(known, None)
        else:
            yield key, None
    while recording is not None:
        yield recording.object_key, recording
        recording = next(known, None)


def _of_owner(look: Look, owner: str | None) -> Iterator[Recording]:
    after = ""
    while owner is not None:
        with look.ledger.reading() as conn:
            page = recordings.of_owner(conn, owner, after, PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].content_sha256


def _unowned(look: Look, key: str, of_owner: str, owner: str | None) -> list[Finding]:
    try:
        age_s = time.time() - look.store.written_at(key)
    except NotFound:
        return []
    if age_s < look.orphan_age_s:
        return []
    with look.ledger.reading() as conn:
        owner = owner or {owner_hash(o): o for o in recordings.owners(conn)}.get(of_owner)
        if owner is not None and recordings.find(conn, owner, key.rpartition("/")[2]) is not None:
            return []
        if of_owner in map(owner_hash, submissions.waiting_owners(conn)):
            return []
    if look.is_before_restore(age_s):
        told = "taken in after the backup was taken that was put back; hand it in again, then remove it"
        return [Finding("orphan_audio", key, "left", told)]
    if not look.dry_run:
        look.store.delete(key)
    return [Finding("orphan_audio", key, look.mended, f"written {age_s / 3600:.0f} h ago, and no recording has it")]


def _silent(look: Look, recording: Recording) -> Iterator[Finding]:
    if recording.audio_removed:  # as its owner wants
        return
    # Asked once more: it may have been accepted since the listing passed.
    if not recording.object_key.startswith(AUDIO) or look.store.exists(recording.object_key):
        return
    with look.ledger.reading() as conn:
        transcript = pointer(conn, recording.key, "transcript")
        row = next(iter(recordings.rows(conn, [recording.key])), None)
    if row is None:  # erased since
        return
    if transcript is not None and transcript.object_id is not None:
        told = "its audio is gone, its transcript stands; hand the file in again to have it heard again"
    elif row.status in ENDED:  # whoever handed it in was told
        told = f"its audio is gone and was never heard, so it ended as {row.status}; hand the file in again"
    else:
        yield Finding("missing_audio", recording.key, "left", "its audio is gone and it waits: hand the file in again")
        return
    yield Finding("missing_audio", recording.key, "noted", told)
