"""Notes of what was not said in English: lifted, headed in its language, honest about what was not read."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import pytest

from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.language.sentences import sentences
from diary_pipeline.notes.language.topics import nouns
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.notes.renderers.headings import headings
from diary_pipeline.notes.writer import note_language
from diary_pipeline_tests.builders import make_transcript
from diary_pipeline_tests.recordings.script_languages import DIARIES, Diary
from diary_pipeline_tests.spoken_diaries import DAY, GERMAN, LUNCH, RECORDED, assert_lifted, note_of


def test_another_language_gets_summary_and_quotes_and_says_so() -> None:
    note = note_of(GERMAN, language="de")
    assert {i.kind for i in note.items} == {"quote"}
    assert note.limits == ("english_cues_only",)
    assert note.language == "de"
    assert note.mood == "neutral"
    assert note.summary.split(". ")[0].rstrip(".") in " ".join(GERMAN)


def spoken(said: Sequence[tuple[str, str | None]], language: str | None = "en") -> Transcript:
    """Return a transcript whose sentences were each heard in a language; the engine takes the whole for `language`."""
    transcript = make_transcript([text for text, _ in said])
    languages = iter([language for _, language in said])
    segments = [dataclasses.replace(s, language=next(languages)) if s.text else s for s in transcript.segments]
    return dataclasses.replace(transcript, segments=tuple(segments), language=language)


@pytest.mark.parametrize(
    ("languages", "whole", "wanted", "written"),
    [
        (("de", "de", "de"), "de", None, "de"),
        (("en", "en", "de"), "en", None, "en"),
        (("en", "de", "de"), "en", None, "de"),  # of most seconds, whatever the engine took the file for
        ((None, None, None), "fr", None, "fr"),
        ((None, None, None), None, None, "en"),
        (("en", "en", "en"), "en", "de", "de"),
    ],
)
def test_a_note_is_in_the_language_of_most_seconds_unless_its_owner_wants_another(
    languages: Sequence[str | None], whole: str | None, wanted: str | None, written: str
) -> None:
    said = list(zip(("I walked home.", "I went to bed.", "Then I slept."), languages, strict=True))
    assert note_language(spoken(said, language=whole), wanted) == written


def test_the_offline_writer_cannot_translate_and_says_so() -> None:
    transcript = make_transcript(LUNCH)
    note = OfflineWriter().write(transcript, RECORDED, None, wanted="de")
    assert (note.language, note.limits) == ("en", ("not_translated",))
    assert OfflineWriter().write(transcript, RECORDED, None, wanted="en").limits == ()


MIXED = (
    ("Heute war ich mit Anna auf dem Markt, und wir haben einen alten Schrank gekauft.", "de"),
    ("Der Schrank ist schwer, und Anna hat gelacht.", "de"),
    ("I will call Tom also so must I made we met Priya in Rome", "de"),  # heard as German: no English rule reads it
    ("I need to call the carpenter tomorrow.", "en"),
    ("Danach sind wir mit dem Bus nach Hause gefahren und haben lange geredet.", "de"),
)


def test_each_sentence_is_read_in_its_own_language() -> None:
    note = OfflineWriter().write(spoken(MIXED, language="de"), RECORDED, None)
    assert note.language == "de"
    assert note.limits == ("english_cues_only",)
    assert [(i.text, i.due_date) for i in note.of("action")] == [(MIXED[3][0], dt.date(2026, 3, 5))]
    assert [i.text for i in note.of("topic")] == ["Schrank"]
    assert {i.kind for i in note.items} == {"action", "quote", "topic"}
    assert note.title == "Der Schrank ist schwer, und Anna hat gelacht"


def test_an_english_entry_says_when_a_good_part_of_it_could_not_be_read() -> None:
    english = [(text, "en") for text in LUNCH]
    one, many = [("Auf Wiedersehen.", "de")], [(text, "de") for text in GERMAN]
    assert OfflineWriter().write(spoken([*english, *one]), RECORDED, None).limits == ()
    assert OfflineWriter().write(spoken([*english, *many]), RECORDED, None).limits == ("english_cues_only",)


def test_where_no_engine_names_the_language_the_words_are_looked_at() -> None:
    said = [(text, None) for text in ("Ich muss morgen den Arzt anrufen, sagt Priya.", "I need to call Tom.")]
    note = OfflineWriter().write(spoken(said, language=None), RECORDED, None)
    assert [i.text for i in note.of("action")] == ["I need to call Tom."]
    assert [i.text for i in note.of("person")] == ["Tom"]


@pytest.mark.parametrize("diary", DIARIES, ids=lambda diary: diary.file_name)
def test_diaries_in_other_languages_are_lifted_and_headed_in_theirs(diary: Diary) -> None:
    said = [(text, passage.language) for passage in diary.passages for text in passage.sentences]
    transcript = spoken(said, language=None)
    note = OfflineWriter().write(transcript, RECORDED, None)
    assert_lifted(note, transcript)
    assert [c for c in check_note(note, transcript, DAY) if not c.passed] == []
    own = {text for text, language in said if language == note.language}
    assert any(note.title.rstrip("…").casefold() in text.casefold() for text in own)
    foreign = {text for text, language in said if language != "en"}
    assert not any(i.text in foreign for i in note.items if i.kind in ("event", "reflection", "action", "person"))
    assert ("english_cues_only" in note.limits) == (note.language != "en")


@pytest.mark.parametrize(
    ("language", "said", "found"),
    [
        ("fr", ["La réunion était longue.", "Après cette réunion, je suis rentrée."], ["réunion"]),
        ("fr", ["L'école commence.", "Mon école me manque."], ["école"]),
        ("es", ["Compré un libro antiguo.", "El libro habla de barcos."], ["libro"]),
        ("it", ["La casa è grande.", "Torno nella mia casa."], ["casa"]),
        ("de", ["Der Garten ist schön.", "Im Garten war ich nicht allein.", "Ein schöner Tag."], ["Garten"]),
        ("de", ["Ich habe gelacht.", "Wir haben gelacht."], []),
        ("fi", ["Puutarha on kaunis.", "Puutarha on suuri."], []),  # no articles, no topics
    ],
)
def test_a_topic_has_an_article_and_stands_in_two_sentences(language: str, said: list[str], found: list[str]) -> None:
    assert [m.text for m in nouns(sentences(make_transcript(said, language=language)), language)] == found


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it"])
def test_each_language_of_ours_has_all_its_headings(language: str) -> None:
    words, english = headings(language), headings("en")
    assert all(getattr(words, field.name) for field in dataclasses.fields(words))
    assert language == "en" or words.nothing != english.nothing
