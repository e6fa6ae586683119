"""Hears many recordings at once: windows of all of them fill each model call, and each recording comes back whole.

The loop between the front end's threads and the model. Loading the model is faster_whisper.py's business; what is done
with a window that cannot be believed is the judge's.

What surprises: what shares a call never changes the words, so neither the order of recordings nor a restart does; word
times may move by some hundredths of a second.
Text, tokens and language equal faster-whisper's per-file batched path, and a test holds us to it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.devices.device import no_room
from diary_pipeline.transcription.transcriber import Block, ToHear
from diary_pipeline.transcription.whisper.batcher import Waiting, next_batch
from diary_pipeline.transcription.whisper.decoding import Asked, Decoded, Figures, OutOfMemory
from diary_pipeline.transcription.whisper.frontend import Broken, Ended, FrontEnd, Ready
from diary_pipeline.transcription.whisper.listening import Judge, Listening

LOOK_AHEAD = 4
"""Batches of windows made ready beside the one in the model, and sorted by length; 3 MB a window."""

logger = log(__name__)


@dataclass(eq=False, kw_only=True)
class _Window(Waiting):
    ready: Ready


class Decoder(Protocol):
    """A loaded model, as the loop sees it."""

    def decode(self, batch: Sequence[Asked]) -> Sequence[Decoded]:
        """Decode windows whose prompts are alike; OutOfMemory when even one is too many, ServiceMissing when broken."""


class CrossFile:
    """Runs recordings through one model; every call of `run` has its own front end."""

    def __init__(
        self,
        decoder: Decoder,
        opened: Callable[[ToHear], Listening],
        features: Callable[[Block], npt.NDArray[np.float32]] | None,
        judge: Judge,
        discard: Callable[[BaseException | None], None],
        *,
        figures: Figures,
        batch_size: int,
        threads: int,
    ) -> None:
        """`features` makes log-mel spectrograms ahead of the model; None: they are made with the batch.

        `discard` throws the loaded model away, and its device too when it is told of an error that lost it.

        After it the next call of the decoder loads the model anew.
        """
        self._decoder = decoder
        self._opened = opened
        self._features = features
        self._judge = judge
        self._discard = discard
        self._figures = figures
        self.batch_size = batch_size
        """Windows a call; fewer once so many did not fit."""
        self._threads = threads
        self._fitted: Asked | None = None
        """A window that did fit, to tell a large one from a device without room."""

    def run(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Listening | Exception]]:
        """Give each recording when it is complete, or what went wrong with it."""
        ahead = self.batch_size * LOOK_AHEAD
        front = FrontEnd(
            recordings,
            self._opened,
            self._features,
            self._figures,
            threads=self._threads,
            recordings_ahead=self.batch_size + self._threads,
            windows_ahead=ahead,
        )
        with front:
            waiting: list[_Window] = []
            while True:
                able = sum(map(_may_be_heard, waiting))
                # No more than the next call needs: while it is under way, the threads make the windows after it.
                events = front.take(max(0, self.batch_size - able), able)
                for event in events:
                    if isinstance(event, Ready) and not event.kept:
                        waiting.append(_waiting(event))
                    elif isinstance(event, Ready):
                        yield from self._finished(event, None)
                        front.release(event.recording)
                    else:
                        yield from _ended(event)
                batch = next_batch([w for w in waiting if _may_be_heard(w)], self.batch_size)
                if not batch and not events:
                    return
                waiting = _given_back(front, waiting, batch)
                yield from self._hear(batch)

    def _hear(self, batch: Sequence[_Window]) -> Iterator[tuple[str, Listening | Exception]]:
        if batch:
            self._figures["room"] = self._figures.get("room", 0.0) + self.batch_size
        said = self._decoded(batch) if batch else ()
        for window, one in zip(batch, said, strict=True):
            if isinstance(one, Decoded):
                self._fitted = _asked(window)
        if any(isinstance(one, OutOfMemory) for one in said):
            self._demand_room()
        for window, one in zip(batch, said, strict=True):
            key = window.ready.recording.key
            yield from self._finished(window.ready, _too_little_memory(key) if isinstance(one, OutOfMemory) else one)

    def _demand_room(self) -> None:
        # A window that did not fit over a new model is at fault only if another still does; else somebody else took
        # the memory, and no recording may pay for that.
        if self._fitted is None or isinstance(self._tried([self._fitted]), Exception):
            raise no_room("out of memory")

    def _finished(self, ready: Ready, said: Decoded | Exception | None) -> Iterator[tuple[str, Listening | Exception]]:
        recording = ready.recording
        if recording.broken is not None:
            return
        try:
            if isinstance(said, Exception):
                recording.broken = said
            else:
                recording.decoded(ready.index, ready.window, said, self._judge)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - this recording's, and the others go on
            recording.broken = error
        if recording.broken is not None:
            yield recording.key, recording.broken
        elif recording.complete:
            yield recording.key, recording

    def _decoded(self, batch: Sequence[_Window]) -> Sequence[Decoded | Exception]:
        asked = [_asked(window) for window in batch]
        said = self._tried(asked)
        if isinstance(said, OutOfMemory) and len(batch) == 1:
            said = self._tried(asked)  # the model was loaded anew, and holds only what it needs
        if not isinstance(said, Exception):
            return said
        if len(batch) == 1:
            if not isinstance(said, OutOfMemory):
                logger.warning("batch_failed", windows=1, error=said)
            return [said]
        if isinstance(said, OutOfMemory):
            self.batch_size = len(batch) // 2
            logger.warning("batch_halved", windows=len(batch))
            return self._in_parts(batch)
        logger.warning("batch_failed", windows=len(batch), error=said)
        # Which window it was shows only when each is heard alone.
        return [one for window in batch for one in self._decoded([window])]

    def _in_parts(self, batch: Sequence[_Window]) -> Sequence[Decoded | Exception]:
        said: list[Decoded | Exception] = []
        while len(said) < len(batch):
            said += self._decoded(batch[len(said) : len(said) + self.batch_size])
        return said

    def _tried(self, batch: Sequence[Asked]) -> Sequence[Decoded] | Exception:
        try:
            return self._decoder.decode(batch)
        except TransientError as error:
            self._discard(error.__cause__)
            raise
        except OutOfMemory:
            pass
        except Exception as error:  # noqa: BLE001 - of one of these windows, and the others go on
            return error
        # Not in the handler: what is being handled keeps the model alive, and the new one would lie beside it.
        self._discard(None)
        return OutOfMemory()


def _too_little_memory(key: str) -> PermanentError:
    return PermanentError(
        "device_out_of_memory",
        f"There is too little memory to transcribe {key} on this device: give it more, or use a smaller model "
        "(DIARY_WHISPER_MODEL) or DIARY_COMPUTE_TYPE=int8, and launch it again.",
    )


def _waiting(ready: Ready) -> _Window:
    recording = ready.recording
    return _Window(recording, ready.index, None, ready.window.length, recording.in_order, ready=ready)


def _may_be_heard(window: _Window) -> bool:
    # The first window tells the language of the others.
    recording = window.ready.recording
    window.group = (recording.language.code if recording.language else None, recording.hints.vocabulary)
    return recording.broken is None and (recording.language is not None or window.index == 0)


def _given_back(front: FrontEnd, waiting: Sequence[_Window], batch: Sequence[_Window]) -> list[_Window]:
    # What still waits; the others, heard next or of a broken recording, leave their room to the front end.
    kept: list[_Window] = []
    for window in waiting:
        if window in batch or window.ready.recording.broken is not None:
            front.release(window.ready.recording)
        else:
            kept.append(window)
    return kept


def _asked(window: _Window) -> Asked:
    recording = window.ready.recording
    return Asked(window.ready.window, window.ready.features, recording.hints, recording.language, recording.forced)


def _ended(event: Ended | Broken) -> Iterator[tuple[str, Listening | Exception]]:
    if isinstance(event, Broken):
        if event.recording is not None:
            if event.recording.broken is not None:
                return
            event.recording.broken = event.error
        yield event.key, event.error
        return
    event.recording.ended(event.windows)
    if event.recording.complete:
        yield event.recording.key, event.recording
