"""Speech to which there are no words is found by the clock and heard on its own."""

from collections.abc import Sequence

import numpy as np
import pytest

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.repair.ears import Stretch
from diary_pipeline.transcription.repair.ladder import Repair
from diary_pipeline.transcription.repair.missed import missed
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Hints

# 20 s of speech in two spans: the second begins a minute later.
WINDOW = Window(np.zeros(20 * RATE, np.float32), (Span(0, 10 * RATE), Span(70 * RATE, 80 * RATE)), 0)
Times = Sequence[tuple[float, float] | tuple[float, float, float]]


def heard(window: Window, times: Times, text: str = "rain ") -> HeardWindow:
    said = text.split()
    words = []
    for i, (start, end, *sure) in enumerate(times):
        at = window.place(round(start * RATE), round(end * RATE))
        words.append(PlacedWord(f" {said[i % len(said)]}{i}", at, sure[0] if sure else 0.9))
    return HeardWindow(window.spans, tuple(words), "en", 0.99, -0.1, 0.01)


def steady(start: float, end: float) -> list[tuple[float, float]]:
    return [(start + i * 0.5, start + i * 0.5 + 0.4) for i in range(round((end - start) * 2))]


@pytest.mark.parametrize(
    ("times", "expected", "why"),
    [
        (steady(0, 20), None, "somebody talks all the time"),
        ([*steady(0, 9), *steady(10, 20)], None, "a pause that voice activity let through"),
        (steady(0, 13), (12.9, 20), "the text stops early"),
        (steady(8, 20), (0, 8), "the text begins late"),
        ([*steady(0, 6), *steady(12, 20)], (5.9, 12), "a passage is missing, over the border of two spans"),
        ([*steady(0, 6), *steady(8.5, 20)], (5.9, 9.9), "widened by whole words until it can be understood"),
        (steady(0, 17), (16.0, 20), "widened to the front where nothing is behind"),
        ([*steady(0, 6), (6, 9, 0.1), *steady(9, 20)], (5.9, 9.9), "a word laid over what was not understood"),
        ([*steady(0, 6), (6, 9, 0.9), *steady(9, 20)], None, "a word that somebody sang"),
        ([], (0, 20), "nothing at all"),
    ],
)
def test_a_stretch_without_words_is_found(times: Times, expected: tuple[float, float] | None, why: str) -> None:
    found = missed(WINDOW, heard(WINDOW, times))
    assert len(found) == (expected is not None), why
    if expected is not None:
        assert [at / RATE for at in found[0].around] == pytest.approx(expected, abs=0.6), why


class Ears:
    """Hears so many words in each second of what it is given."""

    model_sha256 = "a" * 64

    def __init__(self, a_second: float) -> None:
        self.a_second = a_second
        self.asked: list[float] = []

    def listen(self, window: Window, *, language: str | None, vocabulary: Sequence[str] = ()) -> HeardWindow | None:
        self.asked.append(round(window.length / RATE, 1))
        count = int(self.a_second * window.length / RATE)
        times = [(i / self.a_second, (i + 0.9) / self.a_second) for i in range(count)]
        return heard(window, times, "later that evening we walked along the quiet river towards home together")

    def languages(self, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
        return ()


def test_what_was_missed_is_put_between_what_was_heard_and_every_sample_is_kept() -> None:
    first = heard(WINDOW, [*steady(0, 6), *steady(12, 20)], "rain fell on the roof all afternoon while letters dried")
    ears = Ears(2.0)
    parts = Repair(ears)(WINDOW, first, Hints(), "en")
    assert ears.asked == [pytest.approx(6.1, abs=0.2)]
    assert [part.rung for part in parts] == ["batched", "missed", "batched"]
    assert sum(part.samples for part in parts) == WINDOW.length
    words = [word for part in parts for word in part.words]
    assert [w.at.start for w in words] == sorted(w.at.start for w in words)
    assert len(words) == len(first.words) + len(parts[1].words)


def test_a_stretch_that_is_not_understood_the_second_time_either_is_inaudible_and_no_pause() -> None:
    first = heard(WINDOW, [*steady(0, 6), *steady(8.5, 20)], "rain fell on the roof all afternoon while letters dried")
    before, gap, after = Repair(Ears(0.1))(WINDOW, first, Hints(), "en")
    assert (gap.refused, gap.words, gap.samples / RATE) == ("nothing_heard", (), pytest.approx(2.6, abs=0.1))
    assert before.words + after.words == first.words
    assert (before.refused, after.refused) == (None, None)
    assert before.samples + gap.samples + after.samples == WINDOW.length


def test_without_the_rung_nothing_is_heard_again() -> None:
    ears = Ears(2.0)
    first = heard(WINDOW, steady(0, 13), "rain fell on the roof all afternoon while letters dried")
    assert len(Repair(ears, ladder=("apart",))(WINDOW, first, Hints(), "en")) == 1
    assert ears.asked == []


def test_every_stretch_is_heard_the_longest_first_and_none_twice() -> None:
    first = heard(WINDOW, [*steady(0, 3), *steady(9, 12), *steady(17, 20)], "rain fell on the roof all afternoon while")
    ears = Ears(2.0)
    parts = Repair(ears)(WINDOW, first, Hints(), "en")
    assert ears.asked == [pytest.approx(6.1, abs=0.2), pytest.approx(5.1, abs=0.2)]
    assert sum(part.samples for part in parts) == WINDOW.length
    deaf = Ears(0.1)
    Repair(deaf)(WINDOW, first, Hints(), "en")
    assert len(deaf.asked) == 2
