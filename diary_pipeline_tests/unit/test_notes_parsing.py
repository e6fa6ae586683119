"""What counts as an answer, and that a failure tells fields and no words."""

import json
from typing import Any

import pytest

from diary_pipeline.notes.drafts.parsing import DraftInvalid, parse
from diary_pipeline.notes.drafts.schema import FoundDraft, HeadDraft, NoteDraft

HEAD: dict[str, Any] = {"mood": "mixed", "topics": ["SECRET"], "summary": "I met SECRET.", "title": "SECRET day"}
NOTE: dict[str, Any] = {
    **HEAD,
    "events": [{"text": "SECRET", "quote": "SECRET", "segment": 1}],
    **{name: [] for name in ("reflections", "actions", "people", "places", "quotes")},
    "said_date": None,
}
FOUND = {name: [] for name in ("events", "reflections", "actions", "people", "places")}


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{}", "as asked"),
        (" \n{}\n ", "blanks around it"),
        ("```json\n{}\n```", "in a fence"),
        ("```\n{}\n```\n", "in a nameless fence"),
        ("<think>\nIs it {{1}}?\n</think>\n\n{}", "behind thoughts"),
        ("<think>Well.</think>```json\n{}\n```", "behind thoughts and in a fence"),
    ],
)
def test_an_answer_is_found_in_what_servers_put_around_it(written: str, why: str) -> None:
    assert parse(written.replace("{}", json.dumps(HEAD)), HeadDraft) == HeadDraft(**HEAD), why


def test_each_shape_is_read() -> None:
    assert parse(json.dumps(NOTE), NoteDraft).events[0].segment == 1
    assert parse(json.dumps(FOUND), FoundDraft).events == ()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", ("answer json_invalid",)),
        ("Here is SECRET: {}", ("answer json_invalid",)),
        (json.dumps(NOTE)[:-9], ("answer json_invalid",)),
        (json.dumps(NOTE) * 2, ("answer json_invalid",)),
        (json.dumps([NOTE]), ("answer model_type",)),
        (json.dumps({**NOTE, "mood": "SECRET"}), ("mood literal_error",)),
        (json.dumps({**NOTE, "SECRET": "SECRET"}), ("answer extra_forbidden",)),
        (json.dumps({**NOTE, "title": "SECRET " * 20}), ("title string_too_long",)),
        (json.dumps({**NOTE, "said_date": "SECRET"}), ("said_date date_from_datetime_parsing",)),
        (json.dumps({k: v for k, v in NOTE.items() if k != "summary"}), ("summary missing",)),
        (
            json.dumps({**NOTE, "events": [{"text": "", "quote": "SECRET", "segment": -1, "SECRET": 1}]}),
            ("events.0.text string_too_short", "events.0.segment greater_than_equal", "events.0 extra_forbidden"),
        ),
    ],
)
def test_what_is_no_draft_is_refused_with_fields_and_without_a_word_of_it(text: str, fields: tuple[str, ...]) -> None:
    with pytest.raises(DraftInvalid) as refused:
        parse(text, NoteDraft)
    assert refused.value.fields == fields
    assert refused.value.code == "draft_invalid"
    assert "SECRET" not in f"{refused.value!r} {refused.value.message}"
    assert refused.value.__context__ is None
