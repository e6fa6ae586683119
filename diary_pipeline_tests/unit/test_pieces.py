"""A window that is cut loses no sample and places its words where they were."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.transcription.repair.pieces import LONGEST, SHORTEST, at_pauses, cut
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window


def window(*lengths_s: float, pause_s: float = 0.5) -> Window:
    spans, at = [], RATE
    for length in (round(s * RATE) for s in lengths_s):
        spans.append(Span(at, at + length))
        at += length + round(pause_s * RATE)
    samples = sum(span.length for span in spans)
    return Window(np.linspace(0.1, 0.9, samples, dtype=np.float32), tuple(spans), 5 * RATE, 0.7)


@given(st.lists(st.integers(1, 8 * RATE), min_size=1, max_size=5), st.lists(st.integers(-9, 40 * RATE), max_size=4))
def test_pieces_hold_exactly_the_samples_of_the_window(lengths: list[int], places: list[int]) -> None:
    whole = window(*(length / RATE for length in lengths))
    pieces = cut(whole, places)
    assert np.array_equal(np.concatenate([piece.audio for piece in pieces]), whole.audio)
    covered = [n for piece in pieces for span in piece.spans for n in (span.start, span.end)]
    assert covered == sorted(covered)
    assert sum(piece.length for piece in pieces) == sum(span.length for span in whole.spans)
    for piece in pieces:
        assert piece.length == sum(span.length for span in piece.spans)
        assert piece.speech_probability == 0.7
        inside = piece.offset - whole.offset
        assert piece.place(0, 1).start == whole.place(inside, inside + 1).start


def test_a_window_is_cut_at_its_pauses_and_pieces_are_neither_tiny_nor_long() -> None:
    pieces = at_pauses(window(2, 1, 2, 5, 1, 6, 3))
    assert [round(piece.length / RATE) for piece in pieces] == [5, 5, 10]
    assert [len(piece.spans) for piece in pieces] == [3, 1, 3]


def test_without_pauses_the_quietest_moment_is_taken() -> None:
    whole = window(25)
    whole.audio[9 * RATE : 10 * RATE] = 0
    pieces = at_pauses(whole)
    assert all(SHORTEST <= piece.length <= LONGEST for piece in pieces)
    assert 9 * RATE < pieces[0].length < 10 * RATE


def test_a_short_window_stays_whole() -> None:
    assert len(at_pauses(window(3, 3))) == 1
