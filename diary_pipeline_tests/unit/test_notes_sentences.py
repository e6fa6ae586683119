"""Sentences keep the words and the places of what was said."""

from collections.abc import Sequence

import pytest

from diary_pipeline.core.transcript import Segment, Word
from diary_pipeline.notes.language.sentences import Passage, sentences
from diary_pipeline_tests.builders import make_transcript


def split(texts: Sequence[str]) -> list[str]:
    """Return the sentences of a transcript with these segments."""
    return [s.text for s in sentences(make_transcript(texts))]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (["I ran. Then I slept!"], ["I ran.", "Then I slept!"]),
        (["Mr. and Mrs. Weber came at 6 p.m. and left."], ["Mr. and Mrs. Weber came at 6 p.m. and left."]),
        (["It cost 3.5 pounds. Really?"], ["It cost 3.5 pounds.", "Really?"]),
        (["Okay so, um, today I ran."], ["today I ran."]),
        (["Right now I am tired."], ["Right now I am tired."]),
        (["Um. Okay."], ["Um.", "Okay."]),
        (["She said that if it goes", "well, she comes home."], ["She said that if it goes well, she comes home."]),
        (["We drove and", "Then it rained"], ["We drove", "Then it rained"]),
        (["今日は公園。楽しい。"], ["今日は公園。", "楽しい。"]),
        ([], []),
    ],
)
def test_sentences_are_cut_at_full_stops_and_joined_over_segments(segments: list[str], expected: list[str]) -> None:
    assert split(segments) == expected


def test_a_long_pause_ends_a_sentence() -> None:
    segments = (
        Segment(0, 0.0, 2.0, "speech", "I wanted to"),
        Segment(1, 2.0, 9.0, "silence"),
        Segment(2, 9.0, 11.0, "speech", "anyway it rained"),
    )
    said = sentences(make_transcript([], segments=segments, duration_s=11.0))
    assert [s.text for s in said] == ["I wanted to", "anyway it rained"]


def test_words_are_not_joined_over_what_was_not_understood() -> None:
    segments = (
        Segment(0, 0.0, 2.0, "speech", "I would"),
        Segment(1, 2.0, 2.6, "inaudible", reason="phantom_phrase"),
        Segment(2, 2.6, 4.0, "speech", "go there again."),
    )
    said = sentences(make_transcript([], segments=segments, duration_s=4.0))
    assert [s.text for s in said] == ["I would", "go there again."]


def test_minutes_without_a_full_stop_fall_apart_into_segments() -> None:
    lines = [f"and then line number {n} went on and on without an end" for n in range(9)]
    assert len(split(lines)) == 9


def test_evidence_takes_its_times_from_the_words_it_holds() -> None:
    words = tuple(Word(f" {w}", n, n + 0.5, 0.9) for n, w in enumerate(["I", "ran.", "Then", "I", "slept."]))
    transcript = make_transcript([], segments=(Segment(0, 0.0, 6.0, "speech", "I ran. Then I slept.", words=words),))
    first, second = (s.evidence() for s in sentences(transcript))
    assert (first.quote, first.start_s, first.end_s) == ("I ran.", 0.0, 1.5)
    assert (second.quote, second.start_s, second.end_s) == ("Then I slept.", 2.0, 4.5)


def test_without_words_the_times_are_those_of_the_segment() -> None:
    segments = (Segment(0, 1.0, 6.0, "speech", "I ran. Then I slept."),)
    evidence = sentences(make_transcript([], segments=segments))[1].evidence()
    assert (evidence.start_s, evidence.end_s) == (1.0, 6.0)


def test_a_sentence_over_two_segments_quotes_one_of_them() -> None:
    (sentence,) = sentences(make_transcript(["She said that if it", "goes well, she comes home on Sunday."]))
    assert sentence.evidence().quote == "goes well, she comes home on Sunday."
    assert sentence.evidence(at=5).quote == "She said that if it"
    assert isinstance(sentence.cut(4, 25), Passage)
    assert sentence.cut(4, 25).text == "said that if it goes"
