"""Which language was spoken: that of most of the seconds, and whether English rules may read a sentence.

The engine says it for each segment, and only where it does not the words are looked at.
"""

from collections import defaultdict

from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.language.english import STOP_WORDS, tokens
from diary_pipeline.notes.language.sentences import Passage

_FEW_WORDS = 4
_ENGLISH_SHARE = 0.2
"""Of the words of a sentence, little ones that only English has; diaries have 0.4 to 0.6, other languages up to 0.1."""


def spoken_language(transcript: Transcript) -> str | None:
    """Name the language of most of the seconds of speech; None where no engine said one."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for segment in transcript.speech:
        if language := segment.language or transcript.language:
            seconds[language] += segment.end_s - segment.start_s
    return max(seconds, key=lambda language: (seconds[language], language == transcript.language), default=None)


def reads_english(sentence: Passage, transcript: Transcript) -> bool:
    """Tell whether English rules may read a sentence."""
    said = {piece.segment.language or transcript.language for piece in sentence.pieces}
    if said == {None}:
        words = tokens(sentence.text)
        return len(words) < _FEW_WORDS or sum(w in STOP_WORDS for w in words) >= _ENGLISH_SHARE * len(words)
    return said == {"en"}
