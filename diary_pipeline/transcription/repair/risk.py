"""What is suspicious about a stretch of transcript: signals as pure functions of text, scores and seconds, and limits.

No model and no I/O. What is done about a signal is ladder.py's business. The only home of these limits.

What surprises: none of them is proof. A low no_speech_prob proves nothing and a high one is often quiet speech, fast
speech may be well understood, and people do say "thank you". So signals are weighed together in `believable`.
"""

import itertools
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.repair.phantoms import folded, phantom_words
from diary_pipeline.transcription.segments import compression_ratio
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Hints

DAMNING = frozenset(
    {"prompt_echo", "phantom_phrase", "loop", "compression_ratio", "hopeless_logprob", "foreign_script"}
    | {"speech_without_text"}
)
"""One of these is enough to refuse a text, whoever else agrees with it."""
LANGUAGE_SWITCH = "language_switch"
"""Suspected by an engine when the best language of a window is not quite sure; repair finds out."""
FULL_SCALE = 32766 / 32768
"""One step below the loudest value of 16 bits: what clipped in a microphone's converter arrives as that."""
HARMLESS = frozenset({"clipped"})
"""Told to the reader, never a reason to listen again."""

_SCRIPTS = {
    "ja": "CJK HIRAGANA KATAKANA", "zh": "CJK", "yue": "CJK", "ko": "HANGUL CJK", "ru": "CYRILLIC", "uk": "CYRILLIC",
    "be": "CYRILLIC", "bg": "CYRILLIC", "mk": "CYRILLIC", "sr": "CYRILLIC LATIN", "kk": "CYRILLIC", "mn": "CYRILLIC",
    "el": "GREEK", "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "ps": "ARABIC", "he": "HEBREW", "yi": "HEBREW",
    "hi": "DEVANAGARI", "mr": "DEVANAGARI", "ne": "DEVANAGARI", "th": "THAI", "ka": "GEORGIAN", "hy": "ARMENIAN",
    "ta": "TAMIL", "te": "TELUGU", "bn": "BENGALI", "gu": "GUJARATI", "kn": "KANNADA", "ml": "MALAYALAM",
    "pa": "GURMUKHI", "si": "SINHALA", "km": "KHMER", "lo": "LAO", "my": "MYANMAR", "am": "ETHIOPIC", "bo": "TIBETAN",
}  # fmt: skip
_SMALL_WORDS = frozenset({"a", "and", "the", "und", "et", "y", "e", "o"})


@dataclass(frozen=True)
class Limits:
    """Beyond these a signal is raised; the table in docs/calibration.md says what lies on either side of them."""

    avg_logprob: float = -0.4
    hopeless_logprob: float = -0.8
    compression_ratio: float = 2.4
    no_speech_prob: float = 0.3
    sure_words: float = 0.85
    """Mean word probability that excuses a low avg_logprob: in few words the timestamps weigh as much as the text."""
    excusing_logprob: float = -0.25
    """Words as sure as this are quiet speech, whatever no_speech_prob says: -40 dB gave 0.32 with every word right."""
    min_chars_per_s: float = 6.0
    max_chars_per_s: float = 25.0
    min_speech_s: float = 1.5
    """Nothing shorter is too fast, or says too little."""
    min_padded_s: float = 3.0
    """Of anything shorter a third or more is padding: "thank you" alone gave 6 characters a second and a mean
    voice-activity probability of 0.45."""
    loop_repeats: int = 3
    loop_share: float = 0.3
    """Of the words, in runs of one phrase said `loop_repeats` times or more."""
    foreign_share: float = 0.3
    """Of the letters, in a script that the language is not written in."""
    speech_probability: float = 0.6
    phantom_words: float = 0.6
    """Mean probability of its words from which on a phantom sentence was spoken; really spoken ones gave 0.9."""
    unsure_word: float = 0.5
    """A word of a lower probability is a guess."""
    unsure_share: float = 0.12
    """Guessed words among all: clean windows had up to 0.03, those with a fifth of the words wrong 0.18 and more."""
    unsure_min_words: int = 10
    language_probability: float = 0.7
    owned_language_probability: float = 0.3
    """Where it was chosen among the owner's: half a second of English had 0.48, English taken for German below 0.1."""
    language_flip: float = 0.9
    """How sure a change of language must be when the owner lists none."""
    language_speech_s: float = 2.0
    """Anything shorter says nothing about its language."""
    clipped_share: float = 0.02
    inaudible_share: float = 0.5
    """Of all sound that is not silence: more, and the recording as a whole was not understood."""


LIMITS = Limits()


def loop(text: str, longest: int = 12) -> tuple[int, float]:
    """Count how often one phrase follows itself at most, and the share of words in runs of three or more.

    A text without spaces is counted by characters.
    """
    words = folded(text).split()
    if len(words) < 3 and len(text) > 20:
        words, longest = list("".join(words)), 30
    best, covered = min(1, len(words)), 0
    for size in range(1, min(longest, len(words) // 2) + 1):
        at = 0
        while at + 2 * size <= len(words):
            times = 1
            while words[at + times * size : at + (times + 1) * size] == words[at : at + size]:
                times += 1
            best = max(best, times)
            if times >= 3:
                covered = max(covered, times * size)
            at += (times - 1) * size + 1
    return best, covered / max(1, len(words))


def chars_per_s(text: str, speech_s: float) -> float:
    """How fast a text would have been spoken."""
    return len(text) / max(speech_s, 0.1)


def foreign_script(text: str, language: str | None) -> float:
    """Return the share of letters in scripts that the language is not written in; 0 when it is not known."""
    if language is None:
        return 0.0
    wanted = tuple(_SCRIPTS.get(language, "LATIN").split())
    letters = [c for c in text if c.isalpha()]
    return sum(not unicodedata.name(c, "").startswith(wanted) for c in letters) / max(1, len(letters))


def only_vocabulary(text: str, vocabulary: Collection[str]) -> bool:
    """Whether a text consists of the words that the model was told to expect, and of nothing else."""
    said = set(folded(text).split()) - _SMALL_WORDS
    return bool(said) and said <= set(itertools.chain.from_iterable(folded(term).split() for term in vocabulary))


def mean_probability(words: Sequence[PlacedWord]) -> float:
    """Mean of what the engine says about each word; 1.0 when it says nothing."""
    known = [word.probability for word in words if word.probability is not None]
    return sum(known) / len(known) if known else 1.0


def clipped_share(audio: Block) -> float:
    """Return the share of samples at full scale."""
    return float(np.mean(np.abs(audio) >= FULL_SCALE)) if len(audio) else 0.0


def unsure_share(words: Sequence[PlacedWord], below: float) -> float:
    """Return the share of words that the engine itself took for a guess; 0 when it says nothing."""
    known = [word.probability for word in words if word.probability is not None]
    return sum(p < below for p in known) / max(1, len(known))


def risks(
    heard: HeardWindow,
    hints: Hints,
    *,
    language: str | None = None,
    speech_probability: float = 1.0,
    clipped: float = 0.0,
    limits: Limits = LIMITS,
) -> tuple[str, ...]:
    """Name the signals of a stretch, those that the engine raised itself among them; empty when it is trusted.

    `language` is the recording's, `clipped` the share of samples at full scale. An engine that gives no scores is not
    judged by its speed.
    """
    text, speech_s = heard.text, heard.samples / RATE
    logprob, no_speech = heard.avg_logprob, heard.no_speech_prob
    if not folded(text):
        silent = logprob is not None or no_speech is not None
        return ("speech_without_text",) if silent and speech_s >= limits.min_speech_s else ()
    sure = heard.words[0].probability is not None and mean_probability(heard.words) >= limits.sure_words
    weak = {
        "avg_logprob": logprob is not None and logprob < limits.avg_logprob and not sure,
        "no_speech_prob": _is_no_speech(logprob, no_speech, limits),
        "weak_speech": speech_s >= limits.min_padded_s and speech_probability < limits.speech_probability,
    }
    repeats, share = loop(text)
    fast = logprob is not None and speech_s >= limits.min_speech_s
    unsure = unsure_share(heard.words, limits.unsure_word) if len(heard.words) >= limits.unsure_min_words else 0.0
    found = {
        "prompt_echo": any(weak.values()) and only_vocabulary(text, hints.vocabulary),
        "phantom_phrase": _is_phantom(heard, any(weak.values()), limits),
        "loop": repeats >= limits.loop_repeats and share >= limits.loop_share,
        "compression_ratio": compression_ratio(text) > limits.compression_ratio,
        "hopeless_logprob": logprob is not None and logprob < limits.hopeless_logprob,
        "foreign_script": foreign_script(text, heard.language) > limits.foreign_share,
        "too_fast": fast and chars_per_s(text, speech_s) > limits.max_chars_per_s,
        "too_little_text": fast
        and speech_s >= limits.min_padded_s
        and chars_per_s(text, speech_s) < limits.min_chars_per_s,
        "unsure_words": unsure > limits.unsure_share,
        **weak,
        "language_flip": _is_flip(heard, hints, language, limits),
        "language_uncertain": _is_uncertain(heard, hints, limits),
        "clipped": clipped > limits.clipped_share,
    }
    own = (code for code in heard.risks if code not in found)
    return (*own, *(code for code, raised in found.items() if raised))


def believable(codes: Collection[str]) -> bool:
    """Whether a text may be kept: nothing damning is said about it, and no two doubts."""
    return not DAMNING & set(codes) and len(set(codes) - HARMLESS) <= 1


def _is_no_speech(logprob: float | None, no_speech: float | None, limits: Limits) -> bool:
    excused = logprob is not None and logprob >= limits.excusing_logprob
    return no_speech is not None and no_speech > limits.no_speech_prob and not excused


def _is_phantom(heard: HeardWindow, weak: bool, limits: Limits) -> bool:
    # Weak scores, or weak words: what was really spoken has neither, and stays.
    count = phantom_words(heard.text)
    return bool(count) and (weak or mean_probability(heard.words[-count:]) < limits.phantom_words)


def _is_flip(heard: HeardWindow, hints: Hints, language: str | None, limits: Limits) -> bool:
    if hints.language or heard.language is None or language is None or heard.language == language:
        return False
    if hints.languages:
        return heard.language not in hints.languages
    return (heard.language_probability or 0.0) < limits.language_flip


def _is_uncertain(heard: HeardWindow, hints: Hints, limits: Limits) -> bool:
    if hints.language or heard.language_probability is None or heard.samples < limits.language_speech_s * RATE:
        return False
    least = limits.owned_language_probability if hints.languages else limits.language_probability
    return heard.language_probability < least
