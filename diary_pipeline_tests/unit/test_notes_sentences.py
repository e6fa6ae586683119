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
        (["I saw Sgt. Miller and Rev. Green. Good."], ["I saw Sgt. Miller and Rev. Green.", "Good."]),
        (["We walked to St. James Park. It rained."], ["We walked to St. James Park.", "It rained."]),
        (["I live on Baker St. It is loud."], ["I live on Baker St.", "It is loud."]),
        (["J. R. R. Tolkien wrote it. I like it."], ["J. R. R. Tolkien wrote it.", "I like it."]),
        (["It was plan B. We did it."], ["It was plan B.", "We did it."]),
        (["She is at the U.S. Embassy. He waits."], ["She is at the U.S. Embassy.", "He waits."]),
        (["We flew to the U.S. It was hot."], ["We flew to the U.S.", "It was hot."]),
        (["The bus left at 6 a.m. I was late."], ["The bus left at 6 a.m.", "I was late."]),
        (["It is No. 5 on the list. No. Six."], ["It is No. 5 on the list.", "No.", "Six."]),
        ([], []),
    ],
)
def test_sentences_are_cut_at_full_stops_and_joined_over_segments(segments: list[str], expected: list[str]) -> None:
    assert split(segments) == expected


def test_a_german_date_is_no_end() -> None:
    transcript = make_transcript(["Am 3. März war ich da. Es war z.B. Markt."], language="de")
    assert [s.text for s in sentences(transcript)] == ["Am 3. März war ich da.", "Es war z.B. Markt."]


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (
            "i got up late and then i went to the market with my brother and we bought so many oranges that the bag "
            "broke and then i cooked soup for all of us",
            [
                "i got up late",
                "then i went to the market with my brother",
                "we bought so many oranges that the bag broke",
                "then i cooked soup for all of us",
            ],
        ),
        (  # what somebody said, or a condition, may reach over the border
            "she told me that if the bank calls again and i am not at home i have to call them back and then i should "
            "ask for the manager and nobody else",
            None,
        ),
        ("i got up late and then i went out", None),  # short enough
    ],
)
def test_speech_without_full_stops_is_cut_where_a_clause_begins(spoken: str, expected: list[str] | None) -> None:
    assert split([spoken]) == (expected or [spoken])


def test_speech_without_full_stops_is_cut_where_the_speaker_paused() -> None:
    said = [*"the whole day was one long meeting about the new office and its rooms".split(), *"i".split()]
    said += "walked home along the river it was dark already because of the clouds".split()
    words = tuple(Word(w, n + (n >= 14) * 0.9, n + 0.9 + (n >= 14) * 0.9, 0.9) for n, w in enumerate(said))
    segment = Segment(0, 0.0, 60.0, "speech", " ".join(said), "en", words=words)
    transcript = make_transcript([], segments=(segment,), duration_s=60.0)
    assert [s.text for s in sentences(transcript)] == [" ".join(said[:14]), " ".join(said[14:])]


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
