"""Notes as their owner wants them, and templates that cannot be, refused with a sentence."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.notes.offline.writer import OfflineWriter
from diary_pipeline.notes.renderers.markdown import render_note
from diary_pipeline.notes.renderers.template import DEFAULT, Template, Templates, template_from
from diary_pipeline_tests.builders import make_transcript

RECORDED = RecordedAt(
    dt.datetime(2026, 3, 4, 20, 14, tzinfo=dt.UTC), "Europe/Berlin", "file_name", 0.9, dt.date(2026, 3, 4)
)
SAID = ("I met Priya in Lisbon.", "I feel so happy.", "I need to call Tom by Friday.")


def rendered(said: dict[str, Any], words: tuple[str, ...] = SAID) -> str:
    """Render the offline note of some words by a template."""
    note = OfflineWriter().write(make_transcript(words), RECORDED, None)
    return render_note(note, RECORDED, template_from("mine", said))


def test_a_template_orders_the_sections_and_names_them() -> None:
    sections = [
        {"heading": "To do *now*", "shows": ["action"]},
        {"shows": ["event", "reflection"]},
        {"heading": "Who and where", "shows": ["person", "place"]},
        {"shows": ["summary"]},
    ]
    assert rendered({"sections": sections}) == (
        "# Met Priya in Lisbon\n\n"
        "## To do \\*now\\*\n\n"
        "- I need to call Tom by Friday. **(due Friday 2026-03-06)** [00:03]\n\n"
        "## Key Events\n\n"
        "- I met Priya in Lisbon. [00:00]\n\n"
        "- I feel so happy. [00:01]\n\n"
        "## Who and where\n\n"
        "**People:** Priya, Tom\n\n"
        "**Places:** Lisbon\n\n"
        "## Summary\n\n"
        "I met Priya in Lisbon. I feel so happy. I need to call Tom by Friday.\n"
    )


def test_a_section_of_names_or_quotes_without_any_is_left_out_and_others_say_so() -> None:
    sections = [{"shows": ["person"]}, {"shows": ["topic", "quote"]}, {"shows": ["action"]}]
    text = rendered({"sections": sections}, ("It is early on Wednesday.",))
    assert "## People" not in text
    assert text.endswith("## Takeaways\n\nNothing found in this recording.\n")


def test_without_sections_a_template_looks_as_usual() -> None:
    note = OfflineWriter().write(make_transcript(SAID), RECORDED, None)
    assert rendered({"tone": "Dry."}) == render_note(note, RECORDED)
    assert template_from("mine", {}) == dataclasses.replace(DEFAULT, name="mine")


def test_every_field_is_read() -> None:
    said = {
        "language": "de",
        "tone": " Dry. ",
        "instructions": "Mention the weather.",
        "sections": [{"shows": ["mood"]}],
    }
    template = template_from("a-1_b", said)
    assert (template.language, template.tone, template.instructions) == ("de", "Dry.", "Mention the weather.")
    assert template.shown == {"mood"}


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("My Notes", {}, "needs a name of letters"),
        ("x", {"colour": "red"}, "has no 'colour'; it may have instructions, language, sections, tone"),
        ("x", {"language": "xx"}, "unknown language 'xx'"),
        ("x", {"language": 3}, "unknown language 3"),
        ("x", {"sections": []}, "needs a list of sections"),
        ("x", {"sections": "event"}, "needs a list of sections"),
        ("x", {"sections": ["event"]}, "is a table of 'heading' and 'shows'"),
        ("x", {"sections": [{"shows": ["event"], "style": 1}]}, "is a table of 'heading' and 'shows'"),
        ("x", {"sections": [{"heading": "A"}]}, "needs 'shows'"),
        ("x", {"sections": [{"shows": "event"}]}, "needs 'shows'"),
        ("x", {"sections": [{"shows": ["events"]}]}, "cannot show 'events'; it may show when, mood, summary"),
        ("x", {"sections": [{"shows": [3]}]}, "cannot show 3"),
        ("x", {"sections": [{"shows": ["mood"]}, {"shows": ["mood"]}]}, "shows 'mood' in two places"),
        ("x", {"sections": [{"shows": ["mood"], "heading": " "}]}, "an empty heading"),
        ("x", {"sections": [{"shows": ["mood"], "heading": "x" * 61}]}, "at most 60 characters"),
        ("x", {"tone": "x" * 301}, "The tone of template 'x' is text of at most 300 characters."),
        ("x", {"tone": ["a"]}, "The tone of template 'x' is text"),
        ("x", {"instructions": "x" * 2001}, "at most 2000 characters"),
        ("x", {"instructions": "<|im_end|>"}, "holds markup"),
        ("x", {"tone": "</s>"}, "holds markup"),
    ],
)
def test_a_template_that_cannot_be_is_refused_with_a_sentence(name: str, said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")) as refused:
        template_from(name, said)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [((), "default"), (("fun",), "default"), (("work", "dream"), "work"), (("fun", "dream"), "dream")],
)
def test_a_tag_chooses_a_template_and_the_first_one_counts(tags: tuple[str, ...], chosen: str) -> None:
    templates = Templates(by_tag={name: Template(name, DEFAULT.sections) for name in ("dream", "work")})
    assert templates.of(tags).name == chosen


def test_a_layout_changes_with_sections_and_headings_alone() -> None:
    layout = DEFAULT.layout
    assert dataclasses.replace(DEFAULT, name="x", tone="Dry.", language="de").layout == layout
    assert template_from("x", {"sections": [{"shows": ["mood"]}]}).layout != layout
