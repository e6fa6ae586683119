"""A speech engine on another machine: any server with OpenAI's `/v1/audio/transcriptions`.

For OpenAI, vLLM, speaches, LocalAI, whisper.cpp and their like. Finding speech, cutting windows and accounting for
every sample happen here, as with our own weights; only what is in a window is asked. How to ask is connection.py's
business, what an answer means answers.py's, what waits for what under_way.py's.

What surprises: much stays unknown, and is said to be. No server names its weights, so the engine's identity is the
server's address and the model's name there, and segments name no weights; words may have no probability, a language
none either; and where a server gives no times, words lie evenly over the speech of their window.
"""

import io
import wave
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from diary_pipeline.core.transcript import Engine
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.made_with import FRONT_END, versions
from diary_pipeline.transcription.repair.ladder import verdict
from diary_pipeline.transcription.repair.risk import risks
from diary_pipeline.transcription.server.answers import Asked, understood
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.under_way import Opened, Parts, Run
from diary_pipeline.transcription.server.waiting_threads import WaitingThreads
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
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
            threads: WaitingThreads[Parts] = WaitingThreads(self._concurrency, "transcription-request")
            run = Run(self._server, lambda *what: threads.submit(partial(self._heard, client, *what)))
            try:
                yield from self._hear_all(recordings, run)
            finally:
                threads.close()

    def _hear_all(self, recordings: Iterable[ToHear], run: Run) -> Iterator[tuple[str, Heard | Exception]]:
        for recording in recordings:
            opened = Opened(recording, self._only, self._server.model)
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


def wav_of(audio: Block) -> bytes:
    """Write samples as a WAV file of 16 bits; lossless for audio that was decoded from 16 bits."""
    whole = np.clip(np.rint(audio * 32768.0), -32768, 32767).astype("<i2")
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, RATE, len(whole), "NONE", ""))
        file.writeframes(whole.tobytes())
    return written.getvalue()
