"""How windows become words: encode, find the language, generate, align, over a loaded faster-whisper model.

Calls the inner steps of faster-whisper's batched pipeline. Loading the model is faster_whisper.py's business.

What surprises: timestamp tokens are off, because with them batched decoding loses words in pieces of 5 to 14; times
come from aligning the words. So one call takes one language, and a batch that holds two is decoded in two.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.device import gpu_failure
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.segments import compression_ratio
from diary_pipeline.transcription.spans import RATE, Span
from diary_pipeline.transcription.transcriber import Hints
from diary_pipeline.transcription.windows import Window

SURE = 0.7
"""A later window changes the language only from this probability on; accented speech was taken for another below it."""
LONG_ENOUGH_S = 2.0
"""A shorter window never changes the language: p(en) of half a second of English was 0.48."""
PREPEND, APPEND = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # faster-whisper's own defaults

logger = log(__name__)


@dataclass(frozen=True)
class Language:
    """A language and how sure the model is of it."""

    code: str
    probability: float


class WindowDecoder:
    """Decodes the windows of one recording; keeps its language, and where speech last ended, which aligning wants."""

    def __init__(self, model: Any, hints: Hints, beam_size: int, forced: Language | None) -> None:
        self.language = forced
        self._model = model
        self._hints = hints
        self._beam_size = beam_size
        self._forced = forced is not None
        self._last_speech_s = 0.0

    def hear(self, batch: Sequence[Window]) -> list[HeardWindow]:
        """Decode some windows in one model call, or in smaller ones when the device has too little memory."""
        try:
            return self._hear(batch)
        except RuntimeError as error:
            if "out of memory" not in str(error) or len(batch) == 1:
                if broken := gpu_failure(error):
                    raise broken from error
                raise
        logger.warning("batch_halved", windows=len(batch))
        half = len(batch) // 2
        return self.hear(batch[:half]) + self.hear(batch[half:])

    def _hear(self, batch: Sequence[Window]) -> list[HeardWindow]:
        from faster_whisper.audio import pad_or_trim

        features = np.stack([pad_or_trim(self._model.feature_extractor(w.audio)[..., :-1]) for w in batch])
        encoded = self._model.encode(features)
        codes = self._languages(batch, encoded)
        if len(set(codes)) == 1:
            return self._decode(batch, encoded, codes[0])
        # One alignment call takes one language. A change inside a batch is rare, so its windows are encoded again.
        found: dict[int, HeardWindow] = {}
        for code in dict.fromkeys(codes):
            which = [i for i, c in enumerate(codes) if c == code]
            part = self._decode([batch[i] for i in which], self._model.encode(features[which]), code)
            found.update(zip(which, part, strict=True))
        return [found[i] for i in range(len(batch))]

    def _languages(self, batch: Sequence[Window], encoded: Any) -> list[str]:
        if self._forced and self.language:
            return [self.language.code] * len(batch)
        codes = []
        for window, ranked in zip(batch, self._model.model.detect_language(encoded), strict=True):
            best = self._best(ranked)
            if self.language is None:
                self.language = best
            sure = best.probability >= SURE and window.length >= LONG_ENOUGH_S * RATE
            codes.append(best.code if sure else self.language.code)
        return codes

    def _best(self, ranked: Sequence[tuple[str, float]]) -> Language:
        among = [Language(token[2:-2], float(p)) for token, p in ranked]
        return next((one for one in among if not self._hints.languages or one.code in self._hints.languages), among[0])

    def _decode(self, batch: Sequence[Window], encoded: Any, code: str) -> list[HeardWindow]:
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        model = self._model
        tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=code)
        hotwords = ", ".join(self._hints.vocabulary) or None
        prompt = model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=hotwords)
        results = model.model.generate(
            encoded,
            [list(prompt) for _ in batch],
            beam_size=self._beam_size,
            patience=1,
            length_penalty=1,
            suppress_blank=True,
            sampling_temperature=0.0,
            max_length=model.max_length,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = [[t for t in r.sequences_ids[0] if t < tokenizer.eot] for r in results]
        timed = self._timed(batch, encoded, tokenizer, tokens)
        heard = []
        for window, result, said, words in zip(batch, results, tokens, timed, strict=True):
            length = len(result.sequences_ids[0])
            text = tokenizer.decode(said).strip()
            heard.append(
                HeardWindow(
                    spans=window.spans,
                    words=placed(window, words),
                    language=code,
                    # The score is a mean over the tokens; Whisper's own measure counts the end token too.
                    avg_logprob=float(result.scores[0]) * length / (length + 1),
                    no_speech_prob=float(result.no_speech_prob),
                    compression_ratio=compression_ratio(text) if text else None,
                )
            )
        return heard

    def _timed(self, batch: Sequence[Window], encoded: Any, tokenizer: Any, tokens: list[list[int]]) -> list[list[Any]]:
        fps = self._model.frames_per_second
        lines: list[list[dict[str, Any]]] = [
            [
                {
                    "tokens": said,
                    "start": window.offset / RATE,
                    "end": (window.offset + window.length) / RATE,
                    "seek": int(window.offset / RATE * fps),
                }
            ]
            for window, said in zip(batch, tokens, strict=True)
        ]
        sizes = [int(math.ceil(window.length / RATE) * fps) for window in batch]
        self._last_speech_s = self._model.add_word_timestamps(
            lines, tokenizer, encoded, sizes, PREPEND, APPEND, self._last_speech_s
        )
        return [
            [
                (w["word"], w["start"] - line["seek"] / fps, w["end"] - line["seek"] / fps, w["probability"])
                for w in line["words"]
            ]
            for (line,) in lines
        ]


def placed(window: Window, words: Iterable[tuple[str, float, float, float]]) -> tuple[PlacedWord, ...]:
    """Put words with seconds of the window's clock onto the recording's; none overlaps the one before it."""
    # numpy floats become Python's here: they are not JSON.
    placed: list[PlacedWord] = []
    before = 0
    for text, start_s, end_s, probability in words:
        if text.strip():
            at = window.place(round(float(start_s) * RATE), round(float(end_s) * RATE))
            start = max(at.start, before)
            before = max(start, at.end)
            placed.append(PlacedWord(text, Span(start, before), float(probability)))
    return tuple(placed)
