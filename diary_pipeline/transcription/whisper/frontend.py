"""Everything before the model: decode, raise quiet passages, find speech, cut windows, make log-mel spectrograms.

Runs ahead of the model on threads of its own, over many recordings by turns, and holds a bounded number of recordings
and windows, whatever their length. Which windows share a model call is batcher.py's business.

What surprises: a thread advances a recording by one window and then looks for the one that has least ready. A long
recording would otherwise fill all the room, and its windows must not be heard side by side.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from diary_pipeline.core.errors import TransientError
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Block, ToHear
from diary_pipeline.transcription.whisper.decoding import Figures
from diary_pipeline.transcription.whisper.listening import Listening

FLUSH_S = 2.0
"""A window that is ready waits this long for company; the store of the others may be slow."""
IN_ORDER_AHEAD = 2
"""Windows made ready of a recording whose windows are heard one after the other."""


@dataclass(frozen=True)
class Ready:
    """A window for the model."""

    recording: Listening
    index: int
    window: Window
    features: npt.NDArray[np.float32] | None
    """None: the model's side makes them."""
    kept: bool = False
    """Whether it was heard before."""


@dataclass(frozen=True)
class Ended:
    """A recording with nothing more to come."""

    recording: Listening
    windows: int


@dataclass(frozen=True)
class Broken:
    """A recording that cannot be heard; None: not even begun."""

    key: str
    recording: Listening | None
    error: Exception


Event = Ready | Ended | Broken


class _Source:
    def __init__(self, recording: Listening, events: Iterator[Event]) -> None:
        self.recording = recording
        self.events = events
        self.busy = False
        self.ahead = 0


class FrontEnd:
    """Use it as a context: leaving it stops the threads."""

    def __init__(
        self,
        recordings: Iterable[ToHear],
        opened: Callable[[ToHear], Listening],
        features: Callable[[Block], npt.NDArray[np.float32]] | None,
        figures: Figures,
        *,
        threads: int,
        recordings_ahead: int,
        windows_ahead: int,
    ) -> None:
        """`opened` says what is known of a recording before it is heard, or raises why it cannot be."""
        self._recordings = iter(recordings)
        self._opened = opened
        self._features = features
        self._figures = figures
        self._most_recordings = recordings_ahead
        self._most_windows = windows_ahead
        self._changed = threading.Condition()
        self._sources: list[_Source] = []
        self._events: deque[Event] = deque()
        self._outstanding = 0
        self._opening = False
        self._exhausted = False
        self._closed = False
        self._fatal: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, name="front-end", daemon=True) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def take(self, enough: int, held: int = 0) -> list[Event]:
        """Wait until so many windows are ready, or no more can come for now, and give all; none: that was all.

        With one ready, or `held` by who asks, it waits for company no longer than FLUSH_S.
        """
        with self._changed:
            deadline: float | None = None
            while self._fatal is None and self._ready() < enough and self._producing():
                if (held or self._ready()) and deadline is None:
                    deadline = time.monotonic() + FLUSH_S
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            if self._fatal is not None:
                raise self._fatal
            events = list(self._events)
            self._events.clear()
            return events

    def release(self, recording: Listening, windows: int = 1) -> None:
        """Say that windows are handed to the model, or not wanted any more: others may be made in their place."""
        with self._changed:
            for source in self._sources:
                if source.recording is recording:
                    source.ahead -= windows
            self._outstanding -= windows
            self._changed.notify_all()

    def _ready(self) -> int:
        return sum(isinstance(event, Ready) for event in self._events)

    def _producing(self) -> bool:
        return self._opening or any(s.busy for s in self._sources) or self._next() is not None or self._may_open()

    def _may_open(self) -> bool:
        room = len(self._sources) < self._most_recordings and self._outstanding < self._most_windows
        return room and not (self._exhausted or self._opening)

    def _next(self) -> _Source | None:
        if self._outstanding >= self._most_windows:
            return None
        able = [s for s in self._sources if not s.busy and not (s.recording.in_order and s.ahead >= IN_ORDER_AHEAD)]
        return min(able, key=lambda s: s.ahead, default=None)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._may_open() and self._next() is None:
                    if self._exhausted and not self._sources:
                        return
                    self._changed.wait()
                if self._closed:
                    return
                source = self._next()
                opens = self._may_open() and (source is None or source.ahead > 0)
                if opens:
                    self._opening = True
                elif source is not None:
                    source.busy = True
            try:
                if opens:
                    self._open()
                elif source is not None:
                    self._advance(source)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                with self._changed:
                    self._fatal = error
                    self._closed = True
                    self._changed.notify_all()
                return

    def _open(self) -> None:
        asked = next(self._recordings, None)
        source: _Source | None = None
        broken: Broken | None = None
        if asked is not None:
            try:
                recording = self._opened(asked)
                source = _Source(recording, self._events_of(recording))
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - this recording's, and the others go on
                broken = Broken(asked.key, None, error)
        with self._changed:
            self._opening = False
            self._exhausted = asked is None
            if source is not None:
                self._sources.append(source)
            if broken is not None:
                self._events.append(broken)
            self._changed.notify_all()

    def _advance(self, source: _Source) -> None:
        began = time.thread_time()
        event: Event | None = None
        try:
            if source.recording.broken is None:
                event = next(source.events)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - this recording's, and the others go on
            event = Broken(source.recording.key, source.recording, error)
        spent = time.thread_time() - began
        with self._changed:
            self._figures["front_end_s"] = self._figures.get("front_end_s", 0.0) + spent
            source.busy = False
            if isinstance(event, Ready):
                source.ahead += 1
                self._outstanding += 1
            else:
                self._sources.remove(source)
            if event is not None:
                self._events.append(event)
            self._changed.notify_all()

    def _events_of(self, recording: Listening) -> Iterator[Event]:
        found = 0
        for window in recording.speech.windows(self._timed(recording.blocks())):
            kept = recording.keeps(found, window)
            yield Ready(recording, found, window, None if kept else self._log_mel(window), kept)
            found += 1
        yield Ended(recording, found)

    def _timed(self, blocks: Iterable[Block]) -> Iterator[Block]:
        blocks = iter(blocks)
        while True:
            began = time.thread_time()
            block = next(blocks, None)
            self._count("decode_s", time.thread_time() - began)
            if block is None:
                return
            yield block

    def _log_mel(self, window: Window) -> npt.NDArray[np.float32] | None:
        if self._features is None:
            return None
        began = time.thread_time()
        features = self._features(window.audio)
        self._count("mel_s", time.thread_time() - began)
        return features

    def _count(self, name: str, seconds: float) -> None:
        with self._changed:
            self._figures[name] = self._figures.get(name, 0.0) + seconds
