"""A speech engine on another machine: any server with OpenAI's `/v1/audio/transcriptions`.

For OpenAI, vLLM, speaches, LocalAI, whisper.cpp and their like. Finding speech, cutting windows and accounting for
every sample happen here, as with our own weights; only what is in a window is asked. How to ask is connection.py's
business, what an answer means answers.py's.

What surprises: much stays unknown, and is said to be. No server names its weights, so the engine's identity is the
server's address and the model's name there, and segments name no weights; words may have no probability, a language
none either; and where a server gives no times, words lie evenly over the speech of their window.
"""

import io
import wave
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from diary_pipeline.core.errors import TransientError, UsageError
from diary_pipeline.core.transcript import Engine
from diary_pipeline.transcription.checkpoints import kept_parts
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.made_with import FRONT_END, versions
from diary_pipeline.transcription.repair.ladder import verdict
from diary_pipeline.transcription.repair.risk import risks
from diary_pipeline.transcription.server.answers import Asked, understood
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.trouble import Unclear
from diary_pipeline.transcription.server.waiting_threads import WaitingThreads
from diary_pipeline.transcription.speech.recording import SpeechOf
from diary_pipeline.transcription.speech.spans import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.spoken import spoken_language
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear

CODE_VERSION = "1"
"""Raise it when the same audio and answers could come out differently; every transcript is then wanted anew."""

Repair = Callable[[Window, HeardWindow, Hints, str | None], tuple[HeardWindow, ...]]
"""Judges a window, and may hear it again, in parts too. Handed the language that was forced; called on many threads."""


def as_it_is(window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> tuple[HeardWindow, ...]:  # noqa: ARG001
    """Trust what was heard."""
    return (heard,)


def judged(window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> tuple[HeardWindow, ...]:
    """Name what is suspicious about a window, and refuse it where that is too much; nothing is heard again."""
    found = risks(heard, hints, language=language, speech_probability=window.speech_probability)
    return (verdict([replace(heard, risks=found)]),)


_Parts = tuple[HeardWindow, ...]


class OpenAICompatibleTranscriber:
    """A model behind a server; asks about several windows at once, of one recording or of many."""

    def __init__(self, server: TranscriptionServer, *, concurrency: int = 4, repair: Repair = as_it_is) -> None:
        self._server = server
        self._concurrency = concurrency
        self._repair = repair
        # Whisper's own naming: weights called `.en` know nothing else, and take any other language for English.
        self._only = "en" if server.model.endswith(".en") else None
        self._engine = Engine(
            name="openai",
            model=server.model,
            model_sha256="",
            parameters={**versions(FRONT_END), "url": server.url, "model": server.model},
            code_version=CODE_VERSION,
        )

    @property
    def engine(self) -> Engine:
        """Say which server and model make the transcripts; their weights are unknown."""
        return self._engine

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        """Hear recordings; holds the windows that are being asked about and as many that wait for their turn.

        Blocks are read on the caller's thread. Whoever stops early leaves requests under way to end by themselves.
        """
        with self._server.client() as client:
            threads: WaitingThreads[_Parts] = WaitingThreads(self._concurrency, "transcription-request")
            run = _Run(self._server, lambda *what: threads.submit(partial(self._heard, client, *what)))
            try:
                yield from self._hear_all(recordings, run)
            finally:
                threads.close()

    def _hear_all(self, recordings: Iterable[ToHear], run: "_Run") -> Iterator[tuple[str, Heard | Exception]]:
        for recording in recordings:
            opened = _Opened(recording, self._only)
            while (window := opened.next()) is not None:
                while len(run.asked) >= 2 * self._concurrency:
                    yield from run.settled()
                if opened.error:
                    break
                run.ask(opened, window)
            opened.read = True
            yield from run.done(opened)
        while run.asked:
            yield from run.settled()
        yield from run.cleared_up()

    def _heard(self, client: Any, window: Window, recording: ToHear, forced: str | None) -> tuple[HeardWindow, ...]:
        hints = recording.hints
        heard = self._asked(client, window, recording, Asked(forced, 1.0 if forced else None))
        if not forced and hints.languages and heard.language and heard.language not in hints.languages:
            # Accented English comes back as fluent Japanese: the owner's languages are the better guess.
            heard = self._asked(client, window, recording, Asked(hints.languages[0]))
        return self._repair(window, heard, hints, forced)

    def _asked(self, client: Any, window: Window, recording: ToHear, asked: Asked) -> HeardWindow:
        prompt = ", ".join(recording.hints.vocabulary) or None
        answer = self._server.transcription(client, wav_of(window.audio), recording.key, asked.language, prompt)
        return understood(answer, window, asked)


class _Opened:
    # One recording on its way through: windows go out in order, come back in any, and are put together in order.
    def __init__(self, recording: ToHear, only: str | None) -> None:
        self.recording = recording
        self.language: str | None = None
        self.error: Exception | None = None
        self.read = False
        self._only = only
        self._speech = SpeechOf()
        self._windows: Iterator[Window] | None = None
        self._finished: Mapping[int, Sequence[HeardWindow]] = {}
        self._parts: dict[int, Sequence[HeardWindow]] = {}
        self._count = 0
        self._waiting = 0

    def next(self) -> Window | None:
        """Give the next window that nobody has heard yet."""
        try:
            if self._windows is None:
                self.language = _forced(self.recording.hints, self._only)
                checkpoints = self.recording.checkpoints
                self._finished = checkpoints.finished() if checkpoints else {}
                self._windows = self._speech.windows(self.recording.blocks())
            for window in self._windows:
                parts = kept_parts(self._finished, self._count, window, self.recording.key)
                if parts is None:
                    return window
                self._parts[self._count] = parts
                self._count += 1
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's to judge, and the others go on
            self.error = error
        return None

    def wait_for_one(self) -> int:
        """Count a window that was asked about, and give its number."""
        self._waiting += 1
        self._count += 1
        return self._count - 1

    def came_back(self, number: int, answer: "Future[_Parts]") -> None:
        """Keep what was heard in a window, or why it was not."""
        self._waiting -= 1
        try:
            parts = answer.result()
            if self.recording.checkpoints:
                self.recording.checkpoints.finish(number, parts)
            self._parts[number] = parts
            self.recording.progress(parts[-1].spans[-1].end / RATE)
        except TransientError as error:
            if not isinstance(error, Unclear):
                raise
            self.error = self.error or error
        except Exception as error:  # noqa: BLE001 - as above
            self.error = self.error or error

    @property
    def ended(self) -> bool:
        """Whether its audio is read and nothing is under way."""
        return self.read and not self._waiting

    def result(self) -> Heard | Exception:
        """Put the windows together."""
        if self.error:
            return self.error
        heard = [part for number in sorted(self._parts) for part in self._parts[number]]
        language, probability = spoken_language(heard, self.language)
        return Heard(self._speech.samples, language, probability, self._speech.segments(heard))


class _Run:
    # The windows that are asked about, and the recording of which it is not clear whether it or the server is at fault.
    # That one is set aside: what is answered after it convicts it. Two such in a row, and it is the server.
    def __init__(
        self, server: TranscriptionServer, ask: "Callable[[Window, ToHear, str | None], Future[_Parts]]"
    ) -> None:
        self.asked: dict[Future[_Parts], tuple[_Opened, int, Window]] = {}
        self._server = server
        self._ask = ask
        self._doubt: tuple[_Opened, Unclear] | None = None
        self._good: tuple[Window, ToHear, str | None] | None = None

    def ask(self, opened: _Opened, window: Window) -> None:
        answer = self._ask(window, opened.recording, opened.language)
        self.asked[answer] = (opened, opened.wait_for_one(), window)

    def settled(self) -> Iterator[tuple[str, Heard | Exception]]:
        for answer in wait(self.asked, return_when=FIRST_COMPLETED).done:
            opened, number, window = self.asked.pop(answer)
            opened.came_back(number, answer)
            if not answer.exception():
                self._good = (window, opened.recording, opened.language)
            yield from self._judged(opened)

    def done(self, opened: _Opened) -> Iterator[tuple[str, Heard | Exception]]:
        if opened.ended and not (self._doubt and self._doubt[0] is opened):
            yield opened.recording.key, opened.result()

    def cleared_up(self) -> Iterator[tuple[str, Heard | Exception]]:
        if self._doubt is None:
            return
        if self._good:  # nobody came after it: what was answered before it is asked about again
            wait([self._ask(*self._good)])
        yield from self._judged(self._doubt[0])
        if self._doubt:
            raise self._doubt[1]

    def _judged(self, opened: _Opened) -> Iterator[tuple[str, Heard | Exception]]:
        if self._doubt and self._server.answered > self._doubt[1].answered:
            guilty, unclear = self._doubt
            guilty.error = unclear.fault
            self._doubt = None
            if guilty is not opened:
                yield from self.done(guilty)
        if isinstance(opened.error, Unclear):
            if self._doubt and self._doubt[0] is not opened:
                raise opened.error
            self._doubt = (opened, opened.error)
        yield from self.done(opened)


def wav_of(audio: Block) -> bytes:
    """Write samples as a WAV file of 16 bits; lossless for audio that was decoded from 16 bits."""
    whole = np.clip(np.rint(audio * 32768.0), -32768, 32767).astype("<i2")
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, RATE, len(whole), "NONE", ""))
        file.writeframes(whole.tobytes())
    return written.getvalue()


def _forced(hints: Hints, only: str | None) -> str | None:
    # An owner of one language leaves nothing to detect.
    wanted = (hints.language,) if hints.language else hints.languages
    if only and wanted and only not in wanted:
        raise UsageError(
            "language_not_supported",
            f"A model whose name ends in .en understands no {', '.join(wanted)}: use another model, or English.",
        )
    return only or (wanted[0] if len(wanted) == 1 else None)
