"""One recording while an engine hears it: what is done, what waits for what, and when it is complete.

Holds no model and no thread. Windows come back from the model in any order and are finished in theirs, because words
are put right by looking back, and a checkpoint says that everything before it is finished too.

What surprises: the language that later windows are expected in is that of the first one as it was finished, so a
repair that found another language there counts for all that follows, also after a restart. What the recording is said
to be spoken in is spoken.py's business.
"""

from collections.abc import Callable, Mapping, Sequence

from diary_pipeline.transcription.checkpoints import kept_parts
from diary_pipeline.transcription.heard import HeardWindow, partition
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.recording import SpeechOf
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.spoken import spoken_language
from diary_pipeline.transcription.transcriber import Checkpoints, Heard, Hints, ToHear
from diary_pipeline.transcription.whisper.alignment import heard_window, last_speech_of
from diary_pipeline.transcription.whisper.decoding import Decoded, Language

Judge = Callable[[Window, HeardWindow, Hints, str | None], Sequence[HeardWindow]]
"""Says how a window may be believed: unchanged, repaired, in parts, or refused."""


class Listening:
    """Collects the windows of a recording; `language` is known once the first one is finished, or was forced."""

    def __init__(self, asked: ToHear, forced: Language | None, model_sha256: str) -> None:
        self.key = asked.key
        self.hints = asked.hints
        self.blocks = asked.blocks
        self.speech = SpeechOf()
        self.language = forced
        self.forced = forced is not None
        self.broken: Exception | None = None
        self._kept: Mapping[int, Sequence[HeardWindow]] = asked.checkpoints.finished() if asked.checkpoints else {}
        self.heard: list[HeardWindow] = []
        self._progress = asked.progress
        self._checkpoints: Checkpoints | None = asked.checkpoints
        self._model_sha256 = model_sha256
        self._waiting: dict[int, tuple[Window, Decoded | None]] = {}
        self._finished = 0
        self._last_speech = 0
        self._windows: int | None = None

    @property
    def in_order(self) -> bool:
        """Whether its windows must be heard one after the other, so that a killed worker repeats only one."""
        return self._checkpoints is not None

    def keeps(self, index: int, window: Window) -> bool:
        """Whether this very window was heard in an earlier life; then `decoded` is told so by None."""
        return kept_parts(self._kept, index, window, self.key) is not None

    @property
    def complete(self) -> bool:
        """Whether every window is finished and no more can come."""
        return self._finished == self._windows

    def ended(self, windows: int) -> None:
        """Take note that the audio is at its end, and how many windows it had."""
        self._windows = windows

    def decoded(self, index: int, window: Window, said: Decoded | None, judge: Judge) -> None:
        """Take what the model said of a window (None: it is kept from before) and finish all that can be finished."""
        self._waiting[index] = (window, said)
        while (ready := self._waiting.pop(self._finished, None)) is not None:
            parts = self._finish(*ready, judge)
            self._progress(ready[0].spans[-1].end / RATE)
            if self.language is None and parts and parts[0].language is not None:
                self.language = Language(parts[0].language, parts[0].language_probability or 0.0)
            self.heard += parts
            self._finished += 1

    def _finish(self, window: Window, said: Decoded | None, judge: Judge) -> Sequence[HeardWindow]:
        if said is None:
            parts = self._kept[self._finished]
        else:
            heard = heard_window(window, said, self._last_speech, self._model_sha256)
            parts = judge(window, heard, self.hints, (self.language or said.language).code)
            if not partition(parts, window.spans):
                raise LookupError(f"what was made of window {self._finished} does not account for its samples")
            if self._checkpoints is not None:
                self._checkpoints.finish(self._finished, parts)
        self._last_speech = last_speech_of(window, parts, self._last_speech)
        return parts

    def result(self) -> Heard:
        """Give the complete recording."""
        forced = self.language.code if self.forced and self.language else None
        language, probability = spoken_language(self.heard, forced)
        return Heard(self.speech.samples, language, probability, self.speech.segments(self.heard))
