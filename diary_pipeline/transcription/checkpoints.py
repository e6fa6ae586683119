"""Finished windows of a long recording, kept in the object store until the work on its transcript has ended.

One small JSON object a window. In which order windows are finished is listening.py's business.

What is kept belongs to one version of the transcript, which names audio, weights, parameters and hints. Another
version finds nothing, so a resumed transcript equals an uninterrupted one. What cannot be read, or was cut otherwise,
is not used: its window is heard again.

What surprises: they are deleted by what the ledger says, not by whoever wrote them, because any of those may be killed
or fenced. Whoever ends looks after the recordings it had. What remains: a worker that was fenced and then killed may
leave windows of a recording that is done, and so may somebody's own run of one that is done already and stops halfway.
They go with the next batch that holds the recording, or when its owner is erased.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import checkpoints_prefix
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription.heard import HeardWindow, partition
from diary_pipeline.transcription.speech.windows import Window

LONG_S = 600.0
"""Longer recordings, and those that do not say how long they are, have their finished windows kept."""

_PARTS = TypeAdapter(tuple[HeardWindow, ...])

logger = log(__name__)


class StoredCheckpoints:
    """The windows of one version of one recording's transcript."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        """`prefix` comes from storage.keys and ends with a slash."""
        self._store = store
        self._prefix = prefix

    def finished(self) -> Mapping[int, Sequence[HeardWindow]]:
        """Read what is kept, by the number of the window; what cannot be read is left out."""
        found: dict[int, Sequence[HeardWindow]] = {}
        for key in list(self._store.list(self._prefix)):
            try:
                found[_number(key)] = _read(self._store.get(key))
            except (ValueError, NotFound):  # whoever finished the recording may be deleting them just now
                logger.warning("checkpoint_not_used", key=key, code="checkpoint_unreadable")
        return found

    def finish(self, window: int, heard: Sequence[HeardWindow]) -> None:
        """Keep a window; it survives a power cut when this returns."""
        self._store.put(f"{self._prefix}{window:06}.json", _written(heard))


def is_long(recording: Recording) -> bool:
    """Whether its finished windows are kept, so that stopping between two of them loses nothing."""
    return recording.declared_s is None or recording.declared_s > LONG_S


def kept_parts(
    kept: Mapping[int, Sequence[HeardWindow]], number: int, window: Window, recording_key: str
) -> Sequence[HeardWindow] | None:
    """Give what is kept of a window, unless that lies elsewhere than the window of this number as it is cut now."""
    parts = kept.get(number)
    if parts is not None and not partition(parts, window.spans):
        logger.warning("checkpoint_not_used", key=recording_key, window=number, code="checkpoint_of_other_windows")
        return None
    return parts


def forget_ended(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> None:
    """Delete what is kept, of whatever version, of those recordings whose transcript is made or has failed for good."""
    with ledger.reading() as conn:
        ended = recordings.ended(conn, keys, "transcript")
    for recording in filter(is_long, ended):  # of the others nothing was kept, and to list costs a request each
        for key in list(store.list(checkpoints_prefix(recording.owner, recording.content_sha256))):
            store.delete(key)


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].partition(".")[0])


def _written(heard: Sequence[HeardWindow]) -> bytes:
    parts = [dataclasses.asdict(part) for part in heard]
    for part in parts:
        del part["tokens"]  # nothing asks for them afterwards
    return json.dumps(parts, ensure_ascii=False).encode()


def _read(data: bytes) -> Sequence[HeardWindow]:
    parts = _PARTS.validate_json(data)
    if _written(parts) != data:
        raise ValueError("another version of the code wrote other fields")
    return parts
