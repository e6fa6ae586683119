"""Quoted words are found where they were said, and handed out as they were said."""

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.core.note import NoteItem
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.notes.evidence.checks import quotes_verbatim
from diary_pipeline.notes.evidence.snapping import Snapped, Snapper, snap
from diary_pipeline_tests.builders import make_transcript
from diary_pipeline_tests.note_builders import make_note

SAID = (
    "So, I met Priya Patel's mother in Lisbon.",
    "We talked about the flat -- all seventy square metres of it!",
    "I don't want to sell the \u2018old\u2019 watch.",
    "I met Tom. Je suis allé au café avec Zoë.",
    "I met Tom, again.",
)
TRANSCRIPT = make_transcript(SAID)


def stands(found: Snapped, transcript: Transcript) -> bool:
    """Tell whether an item with this evidence passes the check of what is stored."""
    item = NoteItem(0, "event", "x", found.segment_id, found.start_s, found.end_s, found.quote)
    return quotes_verbatim(make_note(transcript, items=(item,)), transcript).passed


@pytest.mark.parametrize(
    ("quote", "found", "segment", "why"),
    [
        ("I met Priya Patel's mother", "I met Priya Patel's mother", 0, "verbatim"),
        (
            "i met priya patels mother IN LISBON",
            "I met Priya Patel's mother in Lisbon",
            0,
            "case and marks do not count",
        ),
        ("“the flat - all seventy", "the flat -- all seventy", 2, "nor do dashes and quotation marks"),
        ("want to sell the old watch", "want to sell the \u2018old\u2019 watch", 4, "nor marks inside"),
        ("alle au cafe avec Zoe", "allé au café avec Zoë", 6, "nor accents"),
        ("dont want to sell", "don't want to sell", 4, "nor apostrophes"),
        ("We talked about the house, all seventy square metres", None, 2, "a wrong word is put right"),
        ("I do want to sell the old watch", None, 4, "what comes back is what was said, not what was quoted"),
        ("in Lisbon. We talked about the flat", "We talked about the flat", 2, "the part where most of it was said"),
    ],
)
def test_a_quote_is_found_and_comes_back_as_it_was_said(quote: str, found: str | None, segment: int, why: str) -> None:
    snapped = snap(quote, TRANSCRIPT)
    assert snapped is not None, why
    assert snapped.segment_id == segment
    assert found is None or snapped.quote == found, why
    text = next(s.text for s in TRANSCRIPT.segments if s.id == segment)
    assert text[snapped.start : snapped.end] == snapped.quote
    assert stands(snapped, TRANSCRIPT)


@pytest.mark.parametrize(
    ("quote", "why"),
    [
        ("", "nothing"),
        ("...!", "marks only"),
        ("I hate everything about mountain bikes", "nobody said so"),
        ("I can", "too short to resemble anything"),
        ("met Pri", "half a word is no word"),
        (" ".join(SAID * 3) + "and then we flew to the moon with everybody we knew " * 20, "longer than the diary"),
    ],
)
def test_what_was_not_said_is_not_found(quote: str, why: str) -> None:
    assert snap(quote, TRANSCRIPT) is None, why


def test_of_equal_places_the_one_near_the_named_segment_counts() -> None:
    assert [s.segment_id for s in Snapper(TRANSCRIPT).find("I met Tom")] == [6, 8]
    assert (first := snap("I met Tom", TRANSCRIPT)) and first.segment_id == 6
    assert (near := snap("I met Tom", TRANSCRIPT, near=8)) and near.segment_id == 8
    assert (wrong := snap("I met Priya", TRANSCRIPT, near=8)) and wrong.segment_id == 0
    assert (unknown := snap("I met Tom", TRANSCRIPT, near=99)) and unknown.segment_id == 8


def test_times_are_those_of_the_words_or_in_proportion_where_no_word_has_one() -> None:
    found = snap("Priya Patel's mother", TRANSCRIPT)
    words = TRANSCRIPT.segments[0].words
    assert found is not None
    assert (found.start_s, found.end_s) == (words[3].start_s, words[5].end_s)
    bare = dataclasses.replace(TRANSCRIPT, segments=(Segment(0, 10.0, 20.0, "speech", "one two " + "x" * 12),))
    halved = snap("one two", bare)
    assert halved is not None
    assert (halved.start_s, halved.end_s) == (10.0, pytest.approx(13.5))


@pytest.mark.parametrize(
    ("said", "quote", "found"),
    [
        ("今天我和安娜去了公园。我很高兴。", "我和安娜去了公园", "我和安娜去了公园"),
        ("วันนี้ฉันไปตลาดกับแม่", "ฉันไปตลาด", "ฉันไปตลาด"),
        ("मैंने आज अन्ना से बात की", "आज अन्ना से", "आज अन्ना से"),
        ("나는 안나를 만났다", "안나를 만났다", "안나를 만났다"),
    ],
)
def test_every_script_is_cut_at_its_own_words(said: str, quote: str, found: str) -> None:
    snapped = snap(quote, make_transcript([said]))
    assert snapped is not None
    assert snapped.quote == found


def test_what_was_not_understood_holds_no_quote() -> None:
    murmured = Segment(0, 0.0, 9.0, "inaudible", raw_text="I met Priya Patel's mother")
    assert snap("I met Priya Patel's mother", dataclasses.replace(TRANSCRIPT, segments=(murmured,))) is None


# No example is a list of strange letters: those of real languages, their marks and what a model may add.
_WORDS = st.sampled_from(
    ["I", "met", "Tom", "Zoë", "don't", "the", "café,", "flat.", "我", "去了公园", "ฉันไป", "नमस्ते", "“so”", "—"]
)
_TEXTS = st.lists(st.lists(_WORDS, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=6)


@given(_TEXTS, st.data())
def test_whatever_is_found_stands_verbatim_in_one_segment_and_is_found_again(
    texts: list[str], data: st.DataObject
) -> None:
    transcript = make_transcript(texts)
    snapper = Snapper(transcript)
    whole = transcript.text
    start = data.draw(st.integers(0, len(whole)))
    quote = data.draw(st.one_of(st.just(whole[start : start + data.draw(st.integers(1, 80))]), _TEXTS.map(" ".join)))
    found = snapper.snap(quote, near=data.draw(st.none() | st.integers(0, 12)))
    if found is not None:
        assert stands(found, transcript)
        again = snapper.snap(found.quote, near=found.segment_id)
        assert again is not None
        assert (again.quote, again.score) == (found.quote, 100.0)


@given(_TEXTS)
def test_every_segment_with_a_word_finds_itself(texts: list[str]) -> None:
    transcript = make_transcript(texts)
    snapper = Snapper(transcript)
    for segment in transcript.speech:
        found = snapper.snap(segment.text, near=segment.id)
        if any(c.isalnum() for c in segment.text):
            assert found is not None
            assert found.score == 100.0


def test_a_day_of_speech_is_searched_in_a_moment() -> None:
    said = [
        f"This is sentence {n} of the day, and we walked {n % 91} miles past house {n % 977}." for n in range(15_000)
    ]
    transcript = make_transcript(said)
    began = time.process_time()
    snapper = Snapper(transcript)
    for n in range(0, 15_000, 500):
        found = snapper.snap(f"sentence {n} of the dya and we walked {n % 91} miles", near=2 * n)
        assert found is not None
        assert found.segment_id == 2 * n
    assert time.process_time() - began < 10
