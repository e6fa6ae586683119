"""Cues: every word is in exactly one, none overlaps, all of them fit a screen. Whatever was said, in any script."""

import dataclasses
import re
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diary_pipeline.core.transcript import Segment, Transcript, Word
from diary_pipeline.transcription.renderers.cues import LONGEST_MS, SHORTEST_MS, Cue, cues_of
from diary_pipeline.transcription.renderers.lines import INAUDIBLE, clean, columns
from diary_pipeline.transcription.renderers.units import LINE
from diary_pipeline_tests.builders import make_transcript

SCRIPTS = (
    "I walked, home. thirty-five yes? & <b>bold</b> --> {\\an8} naïve NOTE 3 🧑‍👩‍👧 👍🏽 "
    "שלום, مرحبا؟ नमस्ते 今天 散步了。 カード สวัสดี"
).split()
WORDS = st.one_of(
    st.sampled_from(SCRIPTS),
    st.text(min_size=1, max_size=12),
    st.text("abcß", min_size=43, max_size=200),
    st.text("今天我去散步了,。", min_size=1, max_size=80),
)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """Segments of all kinds without gaps; words in order of time, at one instant, off the segment, or without times."""
    found: list[Segment] = []
    at = 0.0
    for number in range(draw(st.integers(0, 8))):
        lasts = draw(st.floats(0.3, 20).map(lambda s: round(s, 3)))
        kind = draw(st.sampled_from(("speech", "speech", "speech", "silence", "inaudible")))
        said = draw(st.lists(WORDS, min_size=1, max_size=30)) if kind == "speech" else []
        off = draw(st.sampled_from((0.0, 0.0, -0.5, 0.7)))
        share = draw(st.sampled_from((1.0, 1.0, 0.0, 0.3)))
        step = lasts * share / max(1, len(said))
        words = tuple(
            Word(w, round(at + off + i * step, 3), round(at + off + (i + 1) * step, 3), 0.9) for i, w in enumerate(said)
        )
        text = " ".join(said)
        how = draw(st.sampled_from(("as heard", "as heard", "replaced", "no times", "unspaced")))
        if how == "replaced":
            text = " ".join([*said[:2], "Zillertal", *said[3:]])
        elif how == "no times":
            words = ()
        elif how == "unspaced":
            text = "".join(said)
        text = text if kind == "speech" else ""
        found.append(Segment(number, at, round(at + lasts, 3), kind, text, words=words if kind == "speech" else ()))
        at = round(at + lasts, 3)
    return found


def whole(some: Sequence[Segment]) -> Transcript:
    """Return the transcript of these segments."""
    return dataclasses.replace(make_transcript(()), segments=tuple(some), duration_s=some[-1].end_s if some else 1.0)


def spoken(texts: Iterable[str]) -> str:
    """Return all that was said without spaces, what was not understood in a row counted once."""
    return re.sub(r"(\[inaudible\])+", INAUDIBLE, "".join("".join(text.split()) for text in texts))


@settings(deadline=None, max_examples=200)
@given(segments())
def test_every_character_that_was_said_stands_in_one_cue_in_order(some: list[Segment]) -> None:
    said = [INAUDIBLE if s.kind == "inaudible" else clean(s.text) for s in some if s.kind != "silence"]
    shown = ["".join(cue.lines) for cue in cues_of(whole(some))]
    assert spoken(shown) == spoken(said)


@settings(deadline=None, max_examples=200)
@given(segments())
def test_cues_are_in_order_do_not_overlap_and_fit_a_screen(some: list[Segment]) -> None:
    at = 0
    for cue in cues_of(whole(some)):
        assert at <= cue.start_ms < cue.end_ms
        at = cue.end_ms
        assert 1 <= len(cue.lines) <= 2
        assert all(line and columns(line) <= LINE and line == clean(line) for line in cue.lines)
        assert cue.end_ms - cue.start_ms <= LONGEST_MS or cue.lines == (INAUDIBLE,)
    assert at <= whole(some).duration_s * 1000 + 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("a I walked river. strawberries, thirty-five".split()), min_size=1, max_size=60))
def test_words_of_a_line_or_less_are_never_broken(said: list[str]) -> None:
    cues = list(cues_of(make_transcript([" ".join(said)])))
    assert [word for cue in cues for line in cue.lines for word in line.split()] == said


def lines(*texts: str, pause_s: float = 0.25) -> list[tuple[str, ...]]:
    """Return the lines of the cues of sentences with a pause after each."""
    some: list[Segment] = []
    at = 0.0
    for segment in make_transcript(texts).segments:
        lasts = pause_s if segment.kind == "silence" else segment.end_s - segment.start_s
        moved = tuple(
            dataclasses.replace(w, start_s=w.start_s - segment.start_s + at, end_s=w.end_s - segment.start_s + at)
            for w in segment.words
        )
        some.append(dataclasses.replace(segment, start_s=at, end_s=at + lasts, words=moved))
        at += lasts
    return [cue.lines for cue in cues_of(whole(some))]


def test_a_sentence_is_a_cue_of_one_line_or_of_two_that_are_alike() -> None:
    assert lines("I walked home.", "It had begun to rain and nobody else was on the road at that hour.") == [
        ("I walked home.",),
        ("It had begun to rain and nobody", "else was on the road at that hour."),
    ]


def test_a_long_sentence_is_cut_at_the_end_of_a_clause() -> None:
    said = "When I had come home, because it had begun to rain, I made a pot of tea and sat down to read the letters."
    assert [line for cue in lines(said) for line in cue] == [
        "When I had come home,",
        "because it had begun to rain,",
        "I made a pot of tea and sat",
        "down to read the letters.",
    ]
    assert len(lines(said)) == 2


def test_a_word_that_would_flash_by_is_shown_with_its_neighbour_and_not_over_a_long_pause() -> None:
    assert lines("Yes.", "I walked home alone.") == [("Yes. I walked home alone.",)]
    assert lines("Yes.", "I walked home alone.", pause_s=1.5) == [("Yes.",), ("I walked home alone.",)]


def test_a_short_cue_stays_until_it_can_be_read_where_nothing_follows() -> None:
    (cue,) = cues_of(whole([Segment(0, 1.0, 1.3, "speech", "Yes."), Segment(1, 1.3, 9.0, "silence")]))
    assert (cue.start_ms, cue.end_ms) == (1000, 1000 + SHORTEST_MS)


def test_an_inaudible_stretch_is_one_cue_and_silence_is_none() -> None:
    some = [
        Segment(0, 0, 5, "silence"),
        Segment(1, 5, 20, "inaudible", reason="nothing_heard"),
        Segment(2, 20, 25, "inaudible", reason="compression_ratio"),
        Segment(3, 25, 30, "silence"),
    ]
    assert list(cues_of(whole(some))) == [Cue(5_000, 25_000, (INAUDIBLE,))]
    assert list(cues_of(whole(some[:1]))) == []


def test_a_replaced_word_takes_the_time_between_its_neighbours() -> None:
    words = tuple(
        Word(w, float(i), i + 1.0, 0.9) for i, w in enumerate("I went to Ziller Tal with Anna today.".split())
    )
    text = "I went to Zillertal with Anna today."
    some = [Segment(0, 0.0, 8.0, "speech", text, words=words, raw_text="I went to Ziller Tal with Anna today.")]
    first, second = cues_of(whole(some))
    assert (*first.lines, *second.lines) == ("I went to Zillertal", "with Anna today.")
    assert (first.start_ms, first.end_ms, second.start_ms, second.end_ms) == (0, 5_000, 5_000, 8_000)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("一" * 30, ("一" * 15, "一" * 15)),  # two columns each
        ("a" * 50, ("a" * 42, "a" * 8)),
        ("👨‍👩‍👧‍👦" * 8, ("👨‍👩‍👧‍👦" * 5, "👨‍👩‍👧‍👦" * 3)),
        ("שלום לכולם", ("שלום לכולם",)),
    ],
)
def test_what_is_longer_than_a_line_is_broken_between_characters_that_people_see(
    said: str, shown: tuple[str, ...]
) -> None:
    words = tuple(Word(c, 0.1 * i, 0.1 * (i + 1), 0.9) for i, c in enumerate(said)) if said[0] == "一" else ()
    (cue,) = cues_of(whole([Segment(0, 0.0, 5.0, "speech", said, words=words)]))
    assert cue.lines == shown
