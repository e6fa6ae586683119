"""Word and character errors, counted as the field counts them, so that figures can be laid beside published ones.

Pure counting: two texts in, errors out. Whisper's own text normaliser folds away what nobody can hear (case,
punctuation, numbers as words or digits, British and American spelling); jiwer aligns what is left. Homophones stay
errors. Both are the extra `eval`.

What surprises: in languages that write no spaces every character counts as a word, as in the Whisper paper.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.core.languages import UNSPACED


@dataclass(frozen=True)
class Errors:
    """Errors of some recordings; rates add up by words, not by recordings."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0
    """Words that were said."""
    character_errors: int = 0
    characters: int = 0

    @property
    def word_errors(self) -> int:
        """Words that are wrong, missing or invented."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word errors by words said; more than 1 where much was invented, NaN where nothing was said."""
        return self.word_errors / self.words if self.words else math.nan

    @property
    def cer(self) -> float:
        """Character errors by characters said, spaces between words included."""
        return self.character_errors / self.characters if self.characters else math.nan

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
            self.character_errors + other.character_errors,
            self.characters + other.characters,
        )


def count_errors(said: str, written: str, language: str | None = "en") -> Errors:
    """Count what `written` has wrong of what was `said`; ServiceMissing `eval_missing` without the extra `eval`."""
    fold = normaliser(language)
    reference, hypothesis = fold(said), fold(written)
    separator = "" if language in UNSPACED else " "
    characters = reference.replace(" ", separator), hypothesis.replace(" ", separator)
    if not reference:  # jiwer refuses to measure against nothing
        invented = len(hypothesis.split())
        return Errors(insertions=invented, character_errors=len(characters[1]))
    import jiwer

    by_word = jiwer.process_words(reference, hypothesis)
    by_character = jiwer.process_characters(*characters)
    return Errors(
        by_word.substitutions,
        by_word.deletions,
        by_word.insertions,
        len(reference.split()),
        by_character.substitutions + by_character.deletions + by_character.insertions,
        len(characters[0]),
    )


@functools.cache
def normaliser(language: str | None) -> Callable[[str], str]:
    """Give what folds a text of a language: Whisper's English normaliser, its basic one for all others."""
    try:
        import jiwer  # noqa: F401 - a half-installed extra is told before hours of decoding, not after
        from whisper_normalizer.basic import BasicTextNormalizer
        from whisper_normalizer.english import EnglishTextNormalizer
    except ModuleNotFoundError as error:
        raise ServiceMissing(
            "eval_missing",
            f"Counting word errors needs {(error.name or '').partition('.')[0]}, which is not installed: "
            "`pip install 'diary-pipeline[eval]'` brings it.",
        ) from error
    # Marks are letters in Thai, Hindi or Arabic: without preserve_marks each word falls to pieces.
    fold = (
        EnglishTextNormalizer()
        if language == "en"
        else BasicTextNormalizer(split_letters=language in UNSPACED, preserve_marks=True)
    )
    return lambda text: str(fold(text)).strip()
