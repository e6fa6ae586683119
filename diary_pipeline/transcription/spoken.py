"""In which language a recording was spoken, as the catalogue promises it: that of most of the speech.

Pure, and the same for every engine. In which language a window is heard is the engines' business.

What surprises: the language in which later windows are expected is another one, of the first window. A recording that
begins with a greeting in one language and goes on in another is heard with the one and catalogued with the other.
"""

from collections import defaultdict
from collections.abc import Sequence

from diary_pipeline.transcription.heard import HeardWindow


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
