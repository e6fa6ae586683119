"""What was heard is put right as its owner spelled it, and nothing else is."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.core.transcript import Segment, Word
from diary_pipeline.transcription.replacements import replaced

ANNA = (("confu i", "ComfyUI"), ("Mieka", "Mika"))


def spoken(text: str, *, language: str | None = "en", words: Sequence[str] | None = None) -> Segment:
    """Return a segment whose words last a second each, the later the surer."""
    parts = text.split() if words is None else words
    timed = tuple(Word(part, float(n), n + 1.0, round(0.1 * (n + 1), 1)) for n, part in enumerate(parts))
    return Segment(0, 0.0, len(parts) + 1.0, "speech", text, language, words=timed)


def put_right(text: str, *pairs: tuple[str, str], language: str = "en") -> str:
    """Return the text after these rules."""
    (segment,) = replaced([spoken(text, language=language)], pairs)
    assert (segment.raw_text or segment.text) == text
    return segment.text


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("I opened confu i today", "I opened ComfyUI today", "several words become one"),
        ("Mieka came.", "Mika came.", "the first word"),
        ("Here is Mieka", "Here is Mika", "the last word"),
        ("Mieka, Mieka!", "Mika, Mika!", "every place, with its marks"),
        ('"(confu i)," she said', '"(ComfyUI)," she said', "marks before and behind stay"),
        ("¿Mieka? …Mieka…", "¿Mika? …Mika…", "whatever the marks are"),
        ("confu  i", "ComfyUI", "however wide the blank is"),
        ("confu\ni", "ComfyUI", "or what kind of blank"),
        ("mieka MIEKA", "mieka MIEKA", "capitals count"),
        ("Confu i", "Confu i", "at the start of a sentence too"),
        ("Miekas Mieka's un-Mieka 3Mieka", "Miekas Mieka's un-Mieka 3Mieka", "parts of words are no words"),
        ("confu is good", "confu is good", "nor is the beginning of one"),
        ("confu, i know", "confu, i know", "marks between them make them other words"),
        ("Miekaा", "Miekaा", "a vowel sign is part of its word"),
        ("", "", "nothing was said"),
    ],
)
def test_whole_words_are_replaced_exactly_as_spelled(text: str, expected: str, why: str) -> None:
    assert put_right(text, *ANNA) == expected, why


@pytest.mark.parametrize(
    ("text", "pairs", "expected", "why"),
    [
        ("new york city", [("new", "NEW"), ("new york", "New York")], "New York city", "the longer rule goes first"),
        ("a bb ccc", [("a bb", "X"), ("bb ccc", "Y")], "a Y", "also where it begins later"),
        ("a b", [("a", "b"), ("b", "a")], "b a", "what was put in is not looked at again"),
        ("na nana na na", [("na na", "X")], "na nana X", "what is no word hides no word behind it"),
        ("see plus plus.", [("see plus plus", "C++")], "C++.", "what is meant may be marks"),
        ("Mr. Weaver", [("Mr. Weaver", "Mr. Weber")], "Mr. Weber", "what was heard may hold marks"),
        ("a.b axb", [("a.b", "X")], "X axb", "a dot is a dot"),
        ("3.5 and 3", [("3", "three")], "3.5 and three", "half a number is no word"),
        ("tea", [("tea", "tea")], "tea", "nothing to do"),
        ("tea", [(" ", "x")], "tea", "nothing that could be heard"),
        ("mika san", [("mika san", r"\1 \g<0>")], r"\1 \g<0>", "what is meant is no pattern"),
    ],
)
def test_rules_do_not_disturb_each_other(text: str, pairs: list[tuple[str, str]], expected: str, why: str) -> None:
    assert put_right(text, *pairs) == expected, why
    assert put_right(text, *reversed(pairs)) == expected, f"{why}, in any order"


def test_the_new_word_has_the_time_of_those_it_replaces_and_their_lowest_probability() -> None:
    (segment,) = replaced([spoken("So (confu i), Mieka is here.")], ANNA)
    assert segment.words == (
        Word("So", 0.0, 1.0, 0.1),
        Word("(ComfyUI),", 1.0, 3.0, 0.2),
        Word("Mika", 3.0, 4.0, 0.4),
        Word("is", 4.0, 5.0, 0.5),
        Word("here.", 5.0, 6.0, 0.6),
    )
    assert segment.raw_text == "So (confu i), Mieka is here."


def test_a_word_without_a_probability_makes_none_up() -> None:
    words = (Word("confu", 0.0, 1.0, None), Word("i", 1.0, 2.0, 0.5))
    (known,) = replaced([Segment(0, 0.0, 2.0, "speech", "confu i", words=words)], ANNA)
    (unknown,) = replaced([Segment(0, 0.0, 2.0, "speech", "confu i", words=words[:1] * 0)], ANNA)
    assert known.words == (Word("ComfyUI", 0.0, 2.0, 0.5),)
    assert (unknown.text, unknown.words) == ("ComfyUI", ())


def test_words_cut_within_a_blank_are_joined_where_a_rule_covers_them() -> None:
    (segment,) = replaced(
        [spoken("a well-known man", words=["a", "well", "-known", "man"])], [("well-known", "famous")]
    )
    assert [w.text for w in segment.words] == ["a", "famous", "man"]
    assert (segment.words[1].start_s, segment.words[1].end_s) == (1.0, 3.0)


def test_in_a_language_without_blanks_letters_are_enough() -> None:
    (segment,) = replaced(
        [spoken("今日は美香と。", language="ja", words=["今日", "は美", "香", "と。"])], [("美香", "ミカ")]
    )
    assert (segment.text, segment.raw_text) == ("今日はミカと。", "今日は美香と。")
    assert [w.text for w in segment.words] == ["今日", "はミカ", "と。"]
    assert put_right("今日は美香と。", ("美香", "ミカ"), language="en") == "今日は美香と。"


def test_no_rule_reaches_over_the_end_of_a_segment() -> None:
    both = (spoken("I opened confu"), spoken("i know"))
    assert replaced(both, ANNA) == both


def test_words_that_are_not_those_of_the_text_are_left_as_they_are() -> None:
    (segment,) = replaced([spoken("Mieka came", words=["somebody", "came"])], ANNA)
    assert (segment.text, [w.text for w in segment.words]) == ("Mika came", ["somebody", "came"])


def test_what_was_heard_first_stays_what_was_heard() -> None:
    (once,) = replaced([spoken("Mieka came")], ANNA)
    (twice,) = replaced([once], [("Mika", "Michaela")])
    assert (twice.text, twice.raw_text) == ("Michaela came", "Mieka came")


tokens = st.sampled_from(["a", "b", "c", "ab", "a,", "(b", "c.", "a'b", "b-c", "3.5"])
meant = st.sampled_from(["X", "X Y", "a", "b c", "Ü."])
rules = st.dictionaries(st.lists(tokens, min_size=1, max_size=3).map(" ".join), meant, max_size=4)


@st.composite
def transcripts(draw: st.DrawFn) -> tuple[Segment, ...]:
    """Segments of words in order of time, with pauses, and silence between them."""
    found: list[Segment] = []
    at = 0.0
    for _ in range(draw(st.integers(0, 4))):
        start, words = at, []
        for text in draw(st.lists(tokens, min_size=1, max_size=8)):
            begins = at + draw(st.sampled_from([0.0, 0.25, 3.0]))
            at = begins + draw(st.sampled_from([0.0, 0.5]))
            words.append(Word(text, begins, at, draw(st.sampled_from([None, 0.2, 0.9]))))
        said = " ".join(w.text for w in words)
        found.append(Segment(len(found), start, at, "speech", said, "en", words=tuple(words)))
        found.append(Segment(len(found), at, at + 1, draw(st.sampled_from(["silence", "inaudible"]))))
        at += 1
    return tuple(found)


@given(transcripts())
def test_without_rules_nothing_changes(segments: tuple[Segment, ...]) -> None:
    assert replaced(segments, ()) == segments


@given(transcripts(), rules)
def test_what_was_heard_can_be_read_and_text_words_and_times_agree(
    segments: tuple[Segment, ...], said: dict[str, str]
) -> None:
    found = replaced(segments, tuple(said.items()))
    assert "|".join(s.text if s.raw_text is None else s.raw_text for s in found) == "|".join(s.text for s in segments)
    for before, after in zip(segments, found, strict=True):
        assert (after.start_s, after.end_s, after.kind) == (before.start_s, before.end_s, before.kind)
        assert (after.raw_text is None) == (after.text == before.text)
        assert " ".join(w.text for w in after.words) == after.text
        assert all(a.end_s <= b.start_s for a, b in pairwise(after.words))
        assert [w.start_s for w in after.words[:1]] == [w.start_s for w in before.words[:1]]
        assert [w.end_s for w in after.words[-1:]] == [w.end_s for w in before.words[-1:]]
