"""What became of the entries of an answer: counted again from recorded answers of real models."""

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from diary_pipeline.core.owner import Owner
from diary_pipeline.notes.evidence.replay import read_answer
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline.notes.routed.offered import Offered, offered
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.writer import ToWrite
from diary_pipeline_tests.builders import make_recording, make_transcript

ANSWERS = files("diary_pipeline.notes.evidence.reference").joinpath("real_answers")
SAID = ("I walked with Nora along the river.", "Nora was tired.", "I have to call the dentist tomorrow.")


def work(*said: str) -> Work:
    """A recording whose note is asked for."""
    recording = make_recording()
    transcript = make_transcript(said, recording_key=recording.key)
    return Work(ToWrite(recording, transcript), OfflineNotes(Owner, lambda _: Templates()), ())


def found(**fields: Any) -> Offered:
    """Count a `FoundDraft` about `SAID`."""
    names: dict[str, Any] = dict.fromkeys(("events", "reflections", "actions", "people", "places"), ())
    return offered(json.dumps({**names, **fields}), work(*SAID), prose=False)


@pytest.mark.parametrize(
    ("fields", "published", "dropped"),
    [
        ({"events": ["walked along the river"]}, 1, {}),
        ({"events": ["walked along the river"], "reflections": ["walk along the river"]}, 1, {"repeated": 1}),
        ({"people": ["Nora"]}, 0, {"repeated": 1}),  # the rules had found her
        ({"people": ["Bartholomew"]}, 0, {"name_not_said": 1}),
        ({"events": ["call the dentist"], "actions": ["flew to Spain"]}, 0, {"wrong_kind": 1, "unsupported": 1}),
    ],
)
def test_each_entry_is_in_the_note_or_counted_with_its_reason(
    fields: dict[str, Any], published: int, dropped: dict[str, int]
) -> None:
    counted = found(**fields)
    assert (counted.published, counted.dropped) == (published, dropped)


@pytest.mark.parametrize("file", [f for f in ANSWERS.iterdir() if f.name.endswith(".json")], ids=lambda f: f.name)
def test_no_entry_of_a_real_answer_is_lost_in_the_count(file: Any) -> None:
    answer, told = read_answer(file), json.loads(file.read_text())
    asked = work("x")
    asked.asked = replace(asked.asked, transcript=answer.transcript)
    counted = offered(told["answer"], asked, prose=answer.shape == "NoteDraft")
    assert 0 <= counted.published <= counted.entries
    assert sum(counted.dropped.values()) == counted.entries - counted.published
    assert all(count > 0 for count in counted.dropped.values())
