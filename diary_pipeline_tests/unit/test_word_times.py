"""However a model times its words, numbers too: they stay in order, apart, in their segment, and out of the pauses."""

import re
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.placing import placed
from diary_pipeline.transcription.segments import segments_of
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.whisper.alignment import timed_word

Told = tuple[str, float, float, float]
"""A word as a model tells it: with its blank, seconds of the window's clock, probability."""


def place(window: Window, words: Iterable[Told]) -> tuple[PlacedWord, ...]:
    return placed(window, [timed_word(*word) for word in words])


texts = st.sampled_from([" I", " swam", " 20", " lengths,", " 3.5%", " £60", " 1984.", " 2", "nd", " eighty", " 7:30"])


@st.composite
def told(draw: st.DrawFn) -> list[tuple[Window, list[Told]]]:
    """Windows of a recording and what a model tells of each: it errs by some steps of 20 ms, or more."""
    found = []
    at = offset = 0
    for _ in range(draw(st.integers(1, 3))):
        spans = []
        for _ in range(draw(st.integers(1, 4))):
            start = at + draw(st.sampled_from([0, 1, 2000, RATE, 9 * RATE]))
            at = start + draw(st.sampled_from([1, 320, 6400, RATE, 4 * RATE]))
            spans.append(Span(start, at))
        length = sum(span.length for span in spans)
        window = Window(np.zeros(length, np.float32), tuple(spans), offset)
        offset += length
        steps = length // 320 + 10
        words, step = [], 0
        for text in draw(st.lists(texts, max_size=8)):
            begin = max(0, step + draw(st.integers(-3, 30)))
            step = draw(st.sampled_from([begin, begin + 1, begin + 12, begin + 300, max(0, begin - 2)]))
            words.append((text, min(begin, steps) * 0.02, min(step, steps) * 0.02, 0.5))
        found.append((window, words))
    return found


@settings(deadline=None)
@given(told())
def test_words_are_placed_in_order_apart_and_each_in_one_span(case: list[tuple[Window, list[Told]]]) -> None:
    for window, words in case:
        found = place(window, words)
        assert [w.text for w in found] == [text for text, *_ in words]
        assert all(a.at.end <= b.at.start for a, b in pairwise(found))
        assert all(any(s.start <= w.at.start <= w.at.end <= s.end for s in window.spans) for w in found)


@settings(deadline=None)
@given(told())
def test_segments_keep_every_number_and_no_word_lasts_through_a_pause(case: list[tuple[Window, list[Told]]]) -> None:
    heard = [HeardWindow(window.spans, place(window, words)) for window, words in case]
    found = segments_of(heard, case[-1][0].spans[-1].end + RATE)
    words = [w for s in found for w in s.words]
    numbers = re.findall(r"\d+", " ".join(text for _, some in case for text, *_ in some))
    assert re.findall(r"\d+", " ".join(w.text for w in words)) == numbers
    assert all(a.end_s <= b.start_s for a, b in pairwise(words))
    assert all(s.start_s <= w.start_s <= w.end_s <= s.end_s for s in found for w in s.words)
    pauses = [s for s in found if s.kind != "speech"]
    assert all(w.end_s <= p.start_s or p.end_s <= w.start_s for w in words for p in pauses)


def test_a_number_told_to_last_into_the_next_sentence_ends_before_the_pause() -> None:
    spans = (Span(0, 2 * RATE), Span(7 * RATE, 9 * RATE))
    window = Window(np.zeros(4 * RATE, np.float32), spans, 0)
    words = place(
        window, [(" It", 0.2, 0.4, 0.9), (" cost", 0.4, 1.0, 0.9), (" 60.", 1.0, 2.8, 0.9), (" So", 2.8, 3, 1)]
    )
    first, pause, second, *_ = segments_of([HeardWindow(spans, words)], 9 * RATE)
    assert [(w.text, w.start_s, w.end_s) for w in first.words] == [
        ("It", 0.2, 0.4),
        ("cost", 0.4, 1.0),
        ("60.", 1.0, 2.0),
    ]
    assert (pause.kind, pause.start_s, pause.end_s) == ("silence", 2.0, 7.0)
    assert [(w.text, round(w.start_s, 2)) for w in second.words] == [("So", 7.8)]
