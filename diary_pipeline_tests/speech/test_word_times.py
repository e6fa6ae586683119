"""Real weights say when each word was spoken, numbers too, and a pause stays a pause."""

import functools
import re
from itertools import pairwise

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.core.transcript import Word
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, hear
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.weights import real_transcriber

pytestmark = pytest.mark.speech
SPOKEN = DEMO / "memo_2026-03-10_18-30.ogg"
"""`I spoke for fifteen minutes`, `eighty percent of the budget`, with a pause after each sentence."""
PAUSE_S = 4.0
PADDING_S = 0.4
"""Speech activity reaches this far beyond what is loud."""


@functools.cache
def spoken() -> Block:
    return np.concatenate(list(decode(SPOKEN)))


@functools.cache
def heard(pause_at: int = 0) -> Heard:
    pause = np.zeros(round(PAUSE_S * RATE) if pause_at else 0, np.float32)
    return hear(real_transcriber("tiny.en"), [spoken()[:pause_at], pause, spoken()[pause_at:]], Hints())


def words(found: Heard) -> list[Word]:
    return [w for s in found.segments for w in s.words]


def quiet(near_s: float) -> int:
    """Return the sample in the middle of the quietest tenth of a second within two seconds of a moment."""
    step = RATE // 10
    first = round((near_s - 2) * RATE)
    power = np.square(spoken()[first : first + 40 * step]).reshape(40, step).sum(axis=1)
    return first + int(np.argmin(power)) * step + step // 2


def test_words_are_in_order_apart_in_their_segment_and_of_a_length_people_speak() -> None:
    found = heard()
    assert len(words(found)) > 60
    assert all(a.end_s <= b.start_s for a, b in pairwise(words(found)))
    assert all(s.start_s <= w.start_s <= w.end_s <= s.end_s for s in found.segments for w in s.words)
    assert all(w.end_s - w.start_s <= 2.0 for w in words(found))
    assert all(" ".join(w.text for w in s.words) == s.text for s in found.segments)


def test_a_number_has_a_time_between_its_neighbours() -> None:
    said = words(heard())
    for number, before, after in ((r"15|fifteen", "for", "minutes"), (r"80%|eighty|80", "approved", "of|percent")):
        [at] = [i for i, w in enumerate(said) if re.fullmatch(number, w.text.strip(".,"))]
        assert re.match(before, said[at - 1].text) and re.match(after, said[at + 1].text)
        assert said[at - 1].end_s <= said[at].start_s < said[at].end_s <= said[at + 1].start_s


def test_a_pause_put_between_two_words_is_no_part_of_any_word_and_moves_those_behind_it() -> None:
    cut = quiet(near_s=heard().samples / RATE / 2)
    start_s, end_s = cut / RATE, cut / RATE + PAUSE_S
    found = heard(cut)
    assert found.samples == heard().samples + round(PAUSE_S * RATE)
    inside = [w for w in words(found) if w.start_s < end_s - PADDING_S and w.end_s > start_s + PADDING_S]
    assert not inside
    assert any(s.kind == "silence" and s.start_s < start_s + 1 and s.end_s > end_s - 1 for s in found.segments)
    # Words far from the cut are the same ones, each where it was, or as much later as the pause is long.
    for ours, theirs, shift_s in (
        (words(found)[:10], words(heard())[:10], 0.0),
        (words(found)[-10:], words(heard())[-10:], PAUSE_S),
    ):
        assert [w.text for w in ours] == [w.text for w in theirs]
        assert all(abs(a.start_s - b.start_s - shift_s) < 0.3 for a, b in zip(ours, theirs, strict=True))
