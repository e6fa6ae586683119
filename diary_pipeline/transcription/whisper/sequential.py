"""Listening again to one window: faster-whisper's own seek loop with timestamp tokens, over a loaded model.

When that is done is ladder.py's business; loading a model is faster_whisper.py's.

What surprises: here timestamp tokens are on and in batches they are off. Each of the other two combinations loses 4 to
7 % of the words. And every cost is capped: noise makes Whisper loop, and its usual ladder of temperatures took 26 CPU
seconds for 20 s of nothing. So is memory: a model that ran out of it is thrown away here and tried once more, because
its next call fails with an error that looks like a lost GPU.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.devices.device import gpu_failure, trouble
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.placing import placed
from diary_pipeline.transcription.repair.ears import Stretch
from diary_pipeline.transcription.segments import compression_ratio
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.whisper.alignment import timed_word
from diary_pipeline.transcription.whisper.language_changes import stretches

MOST_PASSES = 4
"""Model passes over one window; clear speech of 30 s takes one or two, noise was seen to take ten."""
TOKENS_PER_S = 10
"""Speech at 25 characters a second makes about 7, timestamps included; a loop makes as many as it may."""
MOST_TOKENS = 220

T = TypeVar("T")
logger = log(__name__)


def _keep() -> None:
    pass


class SequentialEars:
    """One Whisper model, asked for when it is first needed."""

    def __init__(
        self,
        model: Callable[[], Any],
        model_sha256: str,
        beam_size: int = 5,
        *,
        discard: Callable[[], None] = _keep,
        spare: bool = False,
    ) -> None:
        """`discard` throws the loaded model away, so that `model` loads it anew.

        `spare`: recordings can be transcribed without these ears, so weights that do not load make them deaf.
        """
        self._model = model
        self._sha256 = model_sha256
        self._beam_size = beam_size
        self._discard = discard
        self._spare = spare
        self._deaf = False

    @property
    def model_sha256(self) -> str:
        """The weights that listen."""
        return self._sha256

    def listen(self, window: Window, *, language: str | None, vocabulary: Sequence[str] = ()) -> HeardWindow | None:
        """Hear a window with timestamp tokens, without context and without any fallback of the library's own.

        None, too, when memory is too small for it even after the model was loaded anew.
        """
        return self._tried(lambda model: self._listened(model, window, language, vocabulary))

    def languages(self, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
        """Cut a window where its language changes; costs one encoder pass."""
        return self._tried(lambda model: _stretches(model, window, owned)) or ()

    def _tried(self, hear: Callable[[Any], T]) -> T | None:
        if self._deaf:
            return None
        for _ in range(2):
            try:
                return hear(self._model())
            except ServiceMissing as error:
                if not (self._spare and _only_its_own(error)):
                    raise
                self._deaf = True
                logger.warning("repair_model_missing", code=error.code, model_sha256=self._sha256)
                return None
            except (RuntimeError, MemoryError) as error:
                if trouble(error) != "out_of_memory":
                    raise gpu_failure(error) or error from error
            # Not in the handler: what is being handled keeps the model alive, and the new one would lie beside it.
            self._discard()
        logger.warning("not_heard_again", code="device_out_of_memory", model_sha256=self._sha256)
        return None

    def _listened(
        self, model: Any, window: Window, language: str | None, vocabulary: Sequence[str]
    ) -> HeardWindow | None:
        if language and language not in model.supported_languages:
            return None
        said, about = model.transcribe(
            window.audio,
            language=language,
            beam_size=self._beam_size,
            best_of=1,
            temperature=0.0,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=False,
            word_timestamps=True,
            max_new_tokens=min(MOST_TOKENS, int(TOKENS_PER_S * window.length / RATE) + 20),
            hotwords=", ".join(vocabulary) or None,
        )
        found = list(_capped(said))
        words = [
            timed_word(w.word, w.start, w.end, w.probability)
            for segment in found
            for w in segment.words or ()
            if w.word.strip()
        ]
        text = " ".join(segment.text.strip() for segment in found).strip()
        return HeardWindow(
            spans=window.spans,
            words=placed(window, words),
            language=about.language,
            language_probability=None if language else float(about.language_probability),
            avg_logprob=_mean([(s.avg_logprob, len(s.tokens)) for s in found]),
            no_speech_prob=_mean([(s.no_speech_prob, len(s.tokens)) for s in found]) if found else 1.0,
            compression_ratio=compression_ratio(text) if text else None,
            rung="sequential",
            model_sha256=self._sha256,
        )


def _stretches(model: Any, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
    from faster_whisper.audio import pad_or_trim

    features = pad_or_trim(model.feature_extractor(window.audio)[..., :-1])
    return stretches(model, model.encode(features), window, owned)


def _only_its_own(error: ServiceMissing) -> bool:
    # Damaged weights, or no room for them; a lost GPU is everybody's.
    cause = error.__cause__
    return error.code == "model_damaged" or (cause is not None and trouble(cause) == "out_of_memory")


def _capped(said: Iterable[Any]) -> Iterator[Any]:
    # A generator decodes as it is read: leaving off ends the work.
    passes = itertools.groupby(said, key=lambda segment: segment.seek)
    for _, segments in itertools.islice(passes, MOST_PASSES):
        yield from segments


def _mean(scores: Sequence[tuple[float, int]]) -> float | None:
    weight = sum(tokens for _, tokens in scores)
    return float(sum(score * tokens for score, tokens in scores) / weight) if weight else None
