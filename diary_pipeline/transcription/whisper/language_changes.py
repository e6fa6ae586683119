"""Where the language changes inside a window, from what the encoder made of it anyway.

Whisper gives a window one language and translates the rest of it into that one, fluently and with good scores, so no
score shows it. Which language a window is decoded in is not decided here.

What surprises: the model's own language detection works on a slice of the encoder's output as well as on all of it.
So no second encoder pass is needed: about 4 ms a slice with base on a CPU, where encoding a window takes 600.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from diary_pipeline.transcription.repair.ears import Stretch
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.spoken import how_sure

FRAMES_PER_S = 50
SLICE_S = 4.0
"""Of 24 windows in two languages 21 to 24 were found with 4 s and 18 to 21 with 5 s; of 23 in one, none with either."""
CLOSE_S = 2.5
"""What is heard on either side of a pause to say whether the language changes there."""
SURE_ANY, SURE_LISTED = 0.8, 0.7
"""A slice counts from these probabilities on: when any language may come, and among those that the owner lists."""


def stretches(model: Any, encoded: Any, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
    """Cut an encoded window where its language changes, at the pause that tells the two apart best.

    Nothing for a model of one language and an owner who lists one.
    """
    if not model.model.is_multilingual or len(owned) == 1:
        return ()
    row = _rows(encoded)[0]
    found = _coarse(model, row, window.length, owned)
    if len(found) < 2:
        return ()
    cuts = [0, *(_cut(model, row, window, a, b) for a, b in itertools.pairwise(found)), window.length]
    return tuple(
        Stretch(start, end, one.language, one.probability)
        for one, (start, end) in zip(found, itertools.pairwise(cuts), strict=True)
        if end > start
    )


def _coarse(model: Any, row: Any, length: int, owned: Sequence[str]) -> list[Stretch]:
    # Slices that are sure of a language, neighbours of one language joined; what is unsure joins what is beside it.
    size = int(SLICE_S * RATE)
    if length < size + RATE:
        return []
    starts = [*range(0, length - size, size), length - size]
    ranked = [_probabilities(model, row, start, start + size, owned) for start in starts]
    sure = SURE_LISTED if owned else SURE_ANY
    found: list[Stretch] = []
    for start, probabilities in zip(starts, ranked, strict=True):
        code = max(probabilities, key=probabilities.__getitem__, default="")
        if not code or probabilities[code] < sure:
            continue
        if found and found[-1].language == code:
            last = found.pop()
            found.append(Stretch(last.start, start + size, code, max(last.probability, probabilities[code])))
        else:
            found.append(Stretch(start, start + size, code, probabilities[code]))
    return found


def _cut(model: Any, row: Any, window: Window, before: Stretch, after: Stretch) -> int:
    size, near = int(SLICE_S * RATE), int(CLOSE_S * RATE)
    low, high = max(before.end - size, 0), min(after.start + size, window.length)
    borders = [window.clock(span.start) for span in window.spans[1:]]
    pauses = [at for at in borders if low < at < high] or [*range(low + RATE, high - RATE + 1, RATE)]

    def told_apart(at: int) -> float:
        left = _probabilities(model, row, max(0, at - near), at, (before.language, after.language))
        right = _probabilities(model, row, at, min(window.length, at + near), (before.language, after.language))
        return left.get(before.language, 0.0) * right.get(after.language, 0.0)

    return max(pauses, key=told_apart, default=after.start)


def _probabilities(model: Any, row: Any, start: int, end: int, among: Sequence[str]) -> dict[str, float]:
    from ctranslate2 import StorageView

    first, last = (round(at / RATE * FRAMES_PER_S) for at in (start, end))
    if last <= first:
        return {}
    (ranked,) = model.model.detect_language(StorageView.from_array(np.ascontiguousarray(row[None, first:last])))
    return how_sure({token[2:-2]: float(p) for token, p in ranked}, among)


def _rows(encoded: Any) -> Any:
    from ctranslate2 import Device

    return np.array(encoded if encoded.device == "cpu" else encoded.to_device(Device.cpu))
