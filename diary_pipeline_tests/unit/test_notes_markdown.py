"""The rendered note: five sections, times, and speech that stays speech."""

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from diary_pipeline.core.markdown import escaped
from diary_pipeline.core.note import NOT_TRANSLATED
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.notes.renderers.files import write_note_file
from diary_pipeline.notes.renderers.headings import headings
from diary_pipeline.notes.renderers.markdown import render_note
from diary_pipeline_tests.builders import make_transcript

DAY = dt.date(2026, 3, 4)
RECORDED = RecordedAt(dt.datetime(2026, 3, 4, 20, 14, tzinfo=dt.UTC), "Europe/Berlin", "file_name", 0.9, DAY)
SAID = ("I met Priya in Lisbon.", "I feel so happy.", "I need to call Tom by Friday.")


def rendered(said: tuple[str, ...] = SAID, language: str = "en") -> str:
    """Render the offline note of what was said."""
    return render_note(OfflineWriter().write(make_transcript(said, language=language), RECORDED, None), RECORDED)


def test_a_note_has_its_five_sections_with_times() -> None:
    assert rendered() == (
        "# Met Priya in Lisbon\n\n"
        "I met Priya in Lisbon. I feel so happy. I need to call Tom by Friday.\n\n"
        "**People:** Priya, Tom\n\n"
        "**Places:** Lisbon\n\n"
        "## Date & Time\n\n"
        "Wednesday 2026-03-04, 21:14 (Europe/Berlin)\n\n"
        "## Mood/Feelings\n\n"
        "Positive\n\n"
        "## Key Events\n\n"
        "- I met Priya in Lisbon. [00:00]\n\n"
        "## Thoughts & Reflections\n\n"
        "- I feel so happy. [00:01]\n\n"
        "## Takeaways\n\n"
        "- I need to call Tom by Friday. **(due Friday 2026-03-06)** [00:03]\n\n"
        "## In my own words\n\n"
        "> I met Priya in Lisbon. [00:00]\n"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("container_offset", "Wednesday 2026-03-04, 21:14 (Europe/Berlin)"),
        ("file_name_day", "Wednesday 2026-03-04"),
        ("file_time", "Wednesday 2026-03-04, 21:14 (Europe/Berlin), by the time of the file"),
    ],
)
def test_a_clock_that_nobody_told_is_not_shown_and_a_guess_is_called_one(source: str, said: str) -> None:
    recorded = dataclasses.replace(RECORDED, source=source)
    text = render_note(OfflineWriter().write(make_transcript(SAID), recorded, None), recorded)
    assert f"## Date & Time\n\n{said}\n" in text


def test_a_section_about_which_nothing_was_said_says_so() -> None:
    text = rendered(("It is early on Wednesday.",))
    assert text.count("Nothing found in this recording.") == 3


@pytest.mark.parametrize(
    ("language", "heading", "empty"),
    [
        ("de", "## Wichtige Ereignisse", "In dieser Aufnahme nicht gefunden."),
        ("fr", "## Événements marquants", "Rien trouvé dans cet enregistrement."),
        ("es", "## Acontecimientos", "No se encontró nada en esta grabación."),
        ("pl", "## Najważniejsze wydarzenia", "Nic nie znaleziono w tym nagraniu."),
        ("ja", "## 主な出来事", "この録音には見つかりませんでした。"),
        ("fi", "## Key Events", "Nothing found in this recording."),
    ],
)
def test_headings_speak_the_language_of_the_note(language: str, heading: str, empty: str) -> None:
    text = rendered(("Heute war ein Tag.",), language)
    assert heading in text
    assert text.count(empty) == 3


def test_every_language_has_all_the_words_its_days_and_its_moods_apart() -> None:
    for code in ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "ru", "tr", "ja", "zh"):
        words = headings(code)
        assert (code == "en") == (words == headings("en"))
        assert len(set(words.weekdays)) == 7
        assert len(set(words.moods)) == 6
        assert all(dataclasses.astuple(words))


def test_what_a_writer_could_not_do_is_told_at_the_end() -> None:
    note = OfflineWriter().write(make_transcript(SAID), RECORDED, None)
    text = render_note(dataclasses.replace(note, limits=(NOT_TRANSLATED,)), RECORDED)
    assert text.endswith(
        "\n\n*Written in the speaker's own words, which are not translated: in the language that was spoken.*\n"
    )


def test_an_entry_about_another_day_shows_both() -> None:
    note = OfflineWriter().write(make_transcript(["Today is the fifth of March."]), RECORDED, None)
    assert "Thursday 2026-03-05 (recorded: Wednesday 2026-03-04, 21:14 (Europe/Berlin))" in render_note(note, RECORDED)


def test_hours_are_shown_only_where_there_are_any() -> None:
    note = OfflineWriter().write(make_transcript(SAID), RECORDED, None)
    late = tuple(dataclasses.replace(i, start_s=3725.0) for i in note.items)
    assert "[1:02:05]" in render_note(dataclasses.replace(note, items=late), RECORDED)


@pytest.mark.parametrize(
    ("spoken", "inert"),
    [
        ("[click](http://evil.example)", r"\[click\](http\://evil.example)"),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("1986. was good", r"1986\. was good"),
        ("a *b* _c_ `d` ~e~", r"a \*b\* \_c\_ \`d\` \~e\~"),
        ("www.evil.example and me@evil.example", r"www\.evil.example and me\@evil.example"),
        ("two\nlines\r\n\n## three", r"two lines \#\# three"),
        ("$5 and $6 | &lt;", r"\$5 and \$6 \| \&lt;"),
        ("back\\slash", r"back\\slash"),
        ("![[embed]] %%hidden%% ==mark==", r"!\[\[embed\]\] %\%hidden%\% =\=mark=\="),
        ("Plain words, it's fine - really!", "Plain words, it's fine - really!"),
    ],
)
def test_spoken_markup_stays_words(spoken: str, inert: str) -> None:
    assert escaped(spoken) == inert


def test_spoken_markup_stays_words_everywhere_in_a_note() -> None:
    text = rendered(("I met <b>Priya</b> at [x](javascript:alert(1)).", "I feel `happy`, so *happy*."))
    assert "<b>" not in text
    assert "[x](" not in text
    assert "`" not in text.replace("\\`", "")


def test_a_note_file_is_written_whole_and_only_for_its_owner(tmp_path: Path) -> None:
    first = write_note_file(tmp_path / "notes", DAY, "2026-03-04-walk-abc", "# One\n")
    second = write_note_file(tmp_path / "notes", DAY, "2026-03-04-walk-abc", "# Zwei ü\n")
    assert first == second == tmp_path / "notes" / "2026-03-04" / "2026-03-04-walk-abc.md"
    assert second.read_text(encoding="utf-8") == "# Zwei ü\n"
    assert {path.stat().st_mode & 0o077 for path in (second, second.parent, second.parent.parent)} == {0}
    assert [p.name for p in second.parent.iterdir()] == [second.name]
