"""Finished windows of a long recording, kept in the object store until its transcript is committed.

One small JSON object a window. When a recording is long enough to be worth it is batch.py's business, in which order
windows are finished is listening.py's.

What surprises: what is kept belongs to one version of the transcript, which names audio, weights, parameters and
hints. Another version finds nothing, so a resumed transcript equals an uninterrupted one.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.speech.spans import Span


class StoredCheckpoints:
    """The windows of one version of one recording's transcript."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        """`prefix` comes from storage.keys and ends with a slash."""
        self._store = store
        self._prefix = prefix

    def finished(self) -> Mapping[int, Sequence[HeardWindow]]:
        """Read what is kept, by the number of the window."""
        keys = list(self._store.list(self._prefix))
        return {_number(key): [_read(part) for part in json.loads(self._store.get(key))] for key in keys}

    def finish(self, window: int, heard: Sequence[HeardWindow]) -> None:
        """Keep a window; it survives a power cut when this returns."""
        said = json.dumps([dataclasses.asdict(part) for part in heard], ensure_ascii=False)
        self._store.put(f"{self._prefix}{window:06}.json", said.encode())

    def clear(self) -> None:
        """Forget it all: the transcript is committed, or will never be."""
        for key in list(self._store.list(self._prefix)):
            self._store.delete(key)


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].partition(".")[0])


def _read(said: dict[str, Any]) -> HeardWindow:
    words = tuple(PlacedWord(w["text"], Span(**w["at"]), w["probability"]) for w in said.pop("words"))
    spans = tuple(Span(**span) for span in said.pop("spans"))
    risks, tokens = tuple(said.pop("risks")), tuple(said.pop("tokens"))
    return HeardWindow(spans=spans, words=words, risks=risks, tokens=tokens, **said)
