"""Which languages may come in a recording, how sure a window is of one, and in which the recording was spoken.

Pure, and the same for every engine. Finding the language of a window is the engines' business. The catalogue promises
that of most of the speech.

What surprises: the language in which later windows are expected is another one, of the first window. A recording that
begins with a greeting in one language and goes on in another is heard with the one and catalogued with the other.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from diary_pipeline.core.errors import UsageError
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.transcriber import Hints


def may_come(hints: Hints, known: Collection[str], model: str) -> tuple[str, ...]:
    """Give the languages that may come: the forced one, else the owner's, as far as the weights know them, else all.

    `known` is empty where nobody says what the weights know;
    UsageError `language_not_supported` when they know none of those that are wanted.
    """
    wanted = (hints.language,) if hints.language else hints.languages
    found = tuple(code for code in wanted if not known or code in known)
    if wanted and not found:
        raise UsageError(
            "language_not_supported",
            f"Whisper model {model} does not understand {', '.join(sorted(wanted))}: "
            f"use {'a model without `.en` in its name, or ' if set(known) == {'en'} else ''}another language.",
        )
    return found or tuple(known)


def how_sure(found: Mapping[str, float], owned: Collection[str]) -> dict[str, float]:
    """Say how probable each language is among the owner's; among all where the owner names none that was found."""
    among = {code: probability for code, probability in found.items() if code in owned}
    whole = sum(among.values())
    return {code: probability / whole for code, probability in among.items()} if whole else dict(found)


def spoken_language(heard: Sequence[HeardWindow], forced: str | None) -> tuple[str | None, float | None]:
    """Give the language of most of the speech, and how sure it is: the mean of its windows, each by its speech.

    None and 0.0 when nothing was said that is believed; None and None when no window tells; a probability of None when
    none of its windows tells one. A language that was forced is certain.
    """
    said = [window for window in heard if window.words and not window.refused]
    if not said:
        return None, 0.0
    if forced:
        return forced, 1.0
    samples: defaultdict[str, int] = defaultdict(int)
    for window in said:
        if window.language:
            samples[window.language] += window.samples
    if not samples:
        return None, None
    most = max(samples, key=samples.__getitem__)
    sure = [(w.language_probability, w.samples) for w in said if w.language == most]
    told = [(probability, length) for probability, length in sure if probability is not None]
    length = sum(part for _, part in told)
    return most, sum(probability * (part / length) for probability, part in told) if told else None
