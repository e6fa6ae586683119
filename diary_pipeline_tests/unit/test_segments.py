"""Words become segments that partition the recording, cut where a listener would cut them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diary_pipeline.transcription.segments import HeardWindow, PlacedWord, compression_ratio, segments_of
from diary_pipeline.transcription.span import RATE, Span


def said(*words: tuple[str, float, float]) -> tuple[PlacedWord, ...]:
    return tuple(PlacedWord(f" {text}", Span(round(a * RATE), round(b * RATE)), 0.9) for text, a, b in words)


def spans(*pairs: tuple[float, float]) -> tuple[Span, ...]:
    return tuple(Span(round(a * RATE), round(b * RATE)) for a, b in pairs)


@pytest.mark.parametrize(
    ("window", "expected", "why"),
    [
        (None, [("silence", 0, 20, "")], "nothing heard at all"),
        (
            HeardWindow(spans((1, 3)), said(("Yes.", 1.2, 2))),
            [("silence", 0, 1, ""), ("speech", 1, 3, "Yes."), ("silence", 3, 20, "")],
            "speech keeps its padding",
        ),
        (
            HeardWindow(spans((1, 3))),
            [("silence", 0, 1, ""), ("inaudible", 1, 3, ""), ("silence", 3, 20, "")],
            "speech activity without words is inaudible, not silence",
        ),
        (
            HeardWindow(spans((0, 6)), said(("Yes.", 0.2, 1), ("No.", 1.4, 2), ("Why?", 4, 5.5))),
            [("speech", 0, 1.2, "Yes."), ("speech", 1.2, 3, "No."), ("speech", 3, 6, "Why?"), ("silence", 6, 20, "")],
            "neighbours meet in the middle",
        ),
        (
            HeardWindow(spans((0, 4)), said(("well", 0, 1), ("then", 2, 3))),
            [("speech", 0, 1.5, "well"), ("speech", 1.5, 4, "then"), ("silence", 4, 20, "")],
            "a pause ends a segment",
        ),
        (
            HeardWindow(spans((0, 4)), said(("Dr.", 0, 1), ("Lee", 1.1, 3))),
            [("speech", 0, 4, "Dr. Lee"), ("silence", 4, 20, "")],
            "a title ends no sentence",
        ),
        (
            HeardWindow(spans((0, 2), (5, 8)), said(("one", 0, 1.9), ("two", 5, 6))),
            [("speech", 0, 2, "one"), ("silence", 2, 5, ""), ("speech", 5, 8, "two"), ("silence", 8, 20, "")],
            "no segment reaches over a silence",
        ),
        (
            HeardWindow(spans((0, 2), (2.1, 4)), said(("one", 0, 1.9), ("two", 2.1, 3))),
            [("speech", 0, 4, "one two"), ("silence", 4, 20, "")],
            "a breath is no silence",
        ),
        (
            HeardWindow(spans((0, 20)), said(("one.", 6, 7), ("two.", 15, 16))),
            [
                ("inaudible", 0, 5.6, ""),
                ("speech", 5.6, 7.4, "one."),
                ("inaudible", 7.4, 14.6, ""),
                ("speech", 14.6, 16.4, "two."),
                ("inaudible", 16.4, 20, ""),
            ],
            "long stretches without a word are inaudible even beside words",
        ),
        (
            HeardWindow(spans((0, 20)), said(*((f"w{i}", i, i + (0.5 if i == 8 else 0.9)) for i in range(20)))),
            [
                ("speech", 0, 8.75, " ".join(f"w{i}" for i in range(9))),
                ("speech", 8.75, 20, " ".join(f"w{i}" for i in range(9, 20))),
            ],
            "what goes on too long is cut at its widest pause",
        ),
    ],
)
def test_words_are_cut_into_segments(
    window: HeardWindow | None, expected: list[tuple[str, float, float, str]], why: str
) -> None:
    found = segments_of([window] if window else [], 20 * RATE)
    assert [(s.kind, s.start_s, s.end_s, s.text) for s in found] == expected, why


def test_every_segment_of_a_window_carries_its_scores() -> None:
    window = HeardWindow(spans((0, 6)), said(("Ja.", 0, 1), ("Nein.", 3, 4)), "de", 0.9, -0.1, 0.02, 1.1)
    first, second = segments_of([window], 6 * RATE)
    assert (first.language, first.avg_logprob, first.no_speech_prob, first.compression_ratio) == ("de", -0.1, 0.02, 1.1)
    assert second.avg_logprob == first.avg_logprob
    assert [w.text for w in second.words] == ["Nein."]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([" 80", "%", " of", " it."], [("80%", 0.0, 1.5, 0.6), ("of", 2.0, 2.5, 0.9), ("it.", 3.0, 3.5, 0.9)]),
        ([" 3", ".5", " a", ".m", "."], [("3.5", 0.0, 1.5, 0.6), ("a.m.", 2.0, 4.5, 0.9)]),
        ([" well", "-known"], [("well-known", 0.0, 1.5, 0.6)]),
        (["No", " blank"], [("No", 0.0, 0.5, 0.3), ("blank", 1.0, 1.5, 0.9)]),
    ],
)
def test_what_the_model_cut_within_a_word_is_one_word(
    words: list[str], expected: list[tuple[str, float, float, float]]
) -> None:
    # The first is less sure than the others.
    told = tuple(
        PlacedWord(text, Span(i * RATE, i * RATE + RATE // 2), 0.9 if i else 0.3) for i, text in enumerate(words)
    )
    found = segments_of([HeardWindow(spans((0, 6)), told, language="en")], 6 * RATE)
    heard = [(w.text, w.start_s, w.end_s, round(w.probability or 0, 2)) for s in found for w in s.words]
    assert heard == expected
    assert " ".join(s.text for s in found if s.text) == "".join(words).strip()


def test_a_piece_of_a_word_behind_a_pause_does_not_stretch_the_word_over_it() -> None:
    told = (PlacedWord(" 80", Span(0, RATE), 0.9), PlacedWord("%", Span(2 * RATE, 3 * RATE), None))
    first, second = segments_of([HeardWindow(spans((0, 3)), told, language="en")], 3 * RATE)
    assert [(w.text, w.end_s) for w in (*first.words, *second.words)] == [("80", 1.0), ("%", 3.0)]


def test_languages_without_spaces_are_joined_without_spaces() -> None:
    words = tuple(PlacedWord(text, Span(i * 100, i * 100 + 90), 0.9) for i, text in enumerate(["今日", "は", "雨"]))
    (segment,) = segments_of([HeardWindow((Span(0, 300),), words, language="ja")], 300)
    assert segment.text == "今日は雨"


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[HeardWindow], int]:
    at, found = 0, []
    for _ in range(draw(st.integers(0, 4))):
        inside = []
        for _ in range(draw(st.integers(1, 3))):
            start = at + draw(st.sampled_from([0, 1, 2000, 9000, 90_000]))
            at = start + draw(st.sampled_from([1, 2, 600, 16_000, 100_000]))
            inside.append(Span(start, at))
        words = []
        for span in inside:
            times = sorted(draw(st.lists(st.integers(span.start, span.end), max_size=8)))
            words += [
                PlacedWord(draw(st.sampled_from([" a", " b.", " c"])), Span(start, end), 0.5)
                for start, end in zip(times[::2], times[1::2], strict=False)
            ]
        found.append(HeardWindow(tuple(inside), tuple(words)))
    return found, at + draw(st.sampled_from([0, 1, 50_000]))


@settings(max_examples=150, deadline=None)
@given(recordings())
def test_segments_partition_every_recording_and_lose_no_word(case: tuple[list[HeardWindow], int]) -> None:
    heard, samples = case
    found = segments_of(heard, samples)
    edges = [(round(s.start_s * RATE), round(s.end_s * RATE)) for s in found]
    assert [0, *(end for _, end in edges)] == [*(start for start, _ in edges), samples]
    assert all(start < end for start, end in edges)
    assert [w.text for s in found for w in s.words] == [w.text.strip() for h in heard for w in h.words]
    assert all(s.start_s <= w.start_s <= w.end_s <= s.end_s for s in found for w in s.words)
    assert all((s.kind == "speech") == bool(s.words) for s in found)


def test_repetition_compresses() -> None:
    assert compression_ratio("and then I went home, " * 20) > 2.4
    assert compression_ratio("The kitchen tap has been dripping since Sunday.") < 1.7
    assert compression_ratio("") == 0.0
