"""How windows become words: encode, find the language, generate, align, over a loaded faster-whisper model.

Calls the inner steps of faster-whisper's batched pipeline, for windows of any recordings. Choosing which windows share
a call is batcher.py's business, putting words on the recording's clock is placing.py's.

What surprises: timestamp tokens are off, because with them batched decoding loses words in pieces of 5 to 14; times
come from aligning the words. One alignment call takes one language, so a batch in which two are spoken is encoded
together and decoded in two.
"""

import math
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from diary_pipeline.transcription.devices.device import gpu_failure, trouble
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.spoken import how_sure
from diary_pipeline.transcription.transcriber import Block, Hints
from diary_pipeline.transcription.whisper.log_mel import LogMel

SURE = 0.7
"""A later window changes the language only from this probability on; accented speech was taken for another below it."""
LONG_ENOUGH_S = 2.0
"""A shorter window never changes the language: p(en) of half a second of English was 0.48."""
ONE_LANGUAGE = 0.98
"""A window whose best language is less probable may hold two: so did 34 of 35 that did, and 2 of 18 that did not."""
Figures = MutableMapping[str, float]


class OutOfMemory(Exception):
    """The device has no room for these windows. On a GPU the loaded model is of no use any more, see cross_file.py."""


@dataclass(frozen=True)
class Language:
    """A language and how sure the model is of it."""

    code: str
    probability: float


@dataclass(frozen=True)
class Asked:
    """A window for the model."""

    window: Window
    features: npt.NDArray[np.float32] | None
    """Its log-mel spectrogram, mels x 3000; None: made with the batch, where the model runs."""
    hints: Hints
    language: Language | None
    """Of its recording; None: this window tells."""
    forced: bool
    """Whether that language stands, whatever the window sounds like."""

    @property
    def prompt(self) -> str | None:
        """What the model is told before it listens."""
        return ", ".join(self.hints.vocabulary) or None


@dataclass(frozen=True)
class AlignedWord:
    """A word on the clock of its window, seconds, before anything is put right."""

    text: str
    tokens: tuple[int, ...]
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Decoded:
    """What the model said about a window."""

    tokens: tuple[int, ...]
    text: str
    language: Language
    words: tuple[AlignedWord, ...]
    avg_logprob: float
    no_speech_prob: float
    may_hold_two_languages: bool = False


class BatchDecoder:
    """Decodes batches of windows whose prompts are alike; `figures` adds up seconds and windows."""

    def __init__(self, model: Callable[[], Any], beam_size: int, figures: Figures, device: str = "cpu") -> None:
        """`model` gives the loaded model, each time anew, because one that failed is replaced."""
        self._model = model
        self._device = device
        self._beam_size = beam_size
        self._figures = figures

    def decode(self, batch: Sequence[Asked]) -> list[Decoded]:
        """Decode some windows in one model call.

        OutOfMemory when they are too many; ServiceMissing `device_failed` when the GPU broke.
        """
        try:
            return self._decode(batch)
        except (RuntimeError, MemoryError) as error:
            if trouble(error) == "out_of_memory":
                raise OutOfMemory(str(error)) from error
            if broken := gpu_failure(error):
                raise broken from error
            raise

    def _decode(self, batch: Sequence[Asked]) -> list[Decoded]:
        model = self._model()
        with self._timed("mel_s"):
            made = [asked.features for asked in batch if asked.features is not None]
            ready = len(made) == len(batch)
            features = np.stack(made) if ready else self._log_mel(model)([asked.window.audio for asked in batch])
        with self._timed("encode_s"):
            encoded = model.encode(features)
            languages, mixed = self._languages(batch, encoded, model)
        codes = [language.code for language in languages]
        decoded: dict[int, Decoded] = {}
        for code in dict.fromkeys(codes):
            which = [i for i, c in enumerate(codes) if c == code]
            part = encoded if len(which) == len(batch) else _part(encoded, which)
            some = self._generated([batch[i] for i in which], [languages[i] for i in which], part, model)
            decoded.update(zip(which, some, strict=True))
        for i in mixed:
            decoded[i] = replace(decoded[i], may_hold_two_languages=True)
        self._figures["batches"] = self._figures.get("batches", 0) + 1
        self._figures["windows"] = self._figures.get("windows", 0) + len(batch)
        return [decoded[i] for i in range(len(batch))]

    def _log_mel(self, model: Any) -> Callable[[Sequence[Block]], npt.NDArray[np.float32]]:
        return LogMel(model.feature_extractor, self._device).features

    def _languages(self, batch: Sequence[Asked], encoded: Any, model: Any) -> tuple[list[Language], list[int]]:
        # The encoder's output of the window itself tells; a pass of its own, as upstream makes it, is a third of the
        # CPU time of a short recording.
        if all(asked.forced for asked in batch):
            return [asked.language for asked in batch if asked.language is not None], []
        ranked = model.model.detect_language(encoded)
        languages = [language_of(asked, found) for asked, found in zip(batch, ranked, strict=True)]
        mixed = [i for i, found in enumerate(ranked) if found[0][1] < ONE_LANGUAGE and not batch[i].forced]
        return languages, mixed

    def _generated(
        self, batch: Sequence[Asked], languages: Sequence[Language], encoded: Any, model: Any
    ) -> list[Decoded]:
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        code = languages[0].code
        tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=code)
        prompt = model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=batch[0].prompt)
        with self._timed("generate_s"):
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
        tokens = [tuple(r.sequences_ids[0]) for r in results]
        said = [[t for t in sequence if t < tokenizer.eot] for sequence in tokens]
        sizes = [int(math.ceil(asked.window.length / RATE) * model.frames_per_second) for asked in batch]
        with self._timed("align_s"):
            aligned = model.find_alignment(tokenizer, said, encoded, sizes)
        return [
            Decoded(
                tokens=sequence,
                text=tokenizer.decode(text).strip(),
                language=language,
                words=tuple(_word(word) for word in words),
                # The score is a mean over the tokens; Whisper's own measure counts the end token too.
                avg_logprob=float(result.scores[0]) * len(sequence) / (len(sequence) + 1),
                no_speech_prob=float(result.no_speech_prob),
            )
            for result, sequence, text, words, language in zip(results, tokens, said, aligned, languages, strict=True)
        ]

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._figures[name] = self._figures.get(name, 0.0) + time.perf_counter() - began


def language_of(asked: Asked, ranked: Sequence[tuple[str, float]]) -> Language:
    """Choose the language of a window among the owner's, from what the model says of each as `<|en|>`.

    Its probability is the model's own: English is not made certain German by a setting.
    """
    if asked.forced and asked.language is not None:
        return asked.language
    found = {token[2:-2]: float(probability) for token, probability in ranked}
    known = how_sure(found, asked.hints.languages)
    code = max(known, key=known.__getitem__)
    if asked.language is None:
        return Language(code, found.get(code, 0.0))
    sure = known[code] >= SURE and asked.window.length >= LONG_ENOUGH_S * RATE
    chosen = code if sure else asked.language.code
    return Language(chosen, found.get(chosen, 0.0))


def _part(encoded: Any, which: Sequence[int]) -> Any:
    import ctranslate2
    from faster_whisper.transcribe import get_ctranslate2_storage

    host = encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    return get_ctranslate2_storage(np.array(host)[list(which)])


def _word(word: Any) -> AlignedWord:
    # numpy floats become Python's here: they are not JSON.
    return AlignedWord(
        word["word"], tuple(word["tokens"]), float(word["start"]), float(word["end"]), float(word["probability"])
    )
