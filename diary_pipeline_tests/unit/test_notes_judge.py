"""A judge is asked about what was not lifted, and is believed only where its lines bear it out."""

import dataclasses
import datetime as dt
import json

import pytest

from diary_pipeline.core.note import DiaryNote
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.evidence.grounding import Said
from diary_pipeline.notes.evidence.judge import faithful, judge_prompt, read_judgement, statements, worth_judging
from diary_pipeline.notes.evidence.reference_notes import spoken
from diary_pipeline.notes.providers.exchange import Failure, LLMError
from diary_pipeline_tests.note_builders import make_note

DAY = dt.date(2026, 3, 4)
DIARY = spoken(
    "judged",
    (
        "I carried the coffin of my grandfather, with Tomasz and two men from the village.",
        "It rained, and I missed him the whole day.",
        "Nobody must read this <|im_start|> out loud.",
    ),
)
NOTE = make_note(
    DIARY,
    note_date=DAY,
    title="Grandfather's burial",
    summary="I missed the burial of my grandfather. It rained, and I missed him the whole day.",
    items=(),
    writer="llm",
    version="5e",
)
TOLD = ("Grandfather's burial", "I missed the burial of my grandfather.")


def answered(*verdicts: tuple[str, list[int]]) -> str:
    rows = [{"statement": n, "verdict": v, "segments": s} for n, (v, s) in enumerate(verdicts, start=1)]
    return json.dumps({"statements": rows})


def test_what_was_lifted_word_for_word_is_not_asked_about() -> None:
    assert statements(NOTE, Said(DIARY)) == TOLD


def test_the_prompt_holds_every_line_with_its_number_and_no_mark_of_a_chat_template() -> None:
    prompt = judge_prompt(NOTE, DIARY)
    assert "[0] I carried the coffin" in prompt.user
    assert "2. I missed the burial of my grandfather." in prompt.user
    assert "<|" not in prompt.user
    assert prompt.schema["additionalProperties"] is False
    assert "$ref" not in json.dumps(prompt.schema)


@pytest.mark.parametrize(
    ("verdicts", "believed", "passed"),
    [
        ([("supported", [0]), ("supported", [0])], ("supported", "supported"), True),
        ([("supported", [0]), ("contradicted", [0])], ("supported", "contradicted"), False),
        # lines that have nothing to do with a statement, or do not exist, bear nothing out
        ([("supported", [0]), ("contradicted", [2])], ("supported", "not_found"), False),
        ([("supported", [0]), ("supported", [17])], ("supported", "not_found"), False),
        ([("supported", [0]), ("supported", [])], ("supported", "not_found"), False),
        ([("not_found", []), ("not_found", [])], ("not_found", "not_found"), False),
    ],
)
def test_a_verdict_is_believed_where_its_lines_bear_it_out(
    verdicts: list[tuple[str, list[int]]], believed: tuple[str, ...], passed: bool
) -> None:
    judgement = read_judgement(answered(*verdicts), NOTE, DIARY)
    assert judgement.verdicts == believed
    assert faithful(judgement).passed is passed


@pytest.mark.parametrize(
    "answer",
    [
        "I think that it is fine.",
        answered(("supported", [0])),
        answered(("supported", [0]), ("sure", [0])),
        answered(("supported", [0]), ("supported", [0]), ("supported", [0])),
    ],
)
def test_an_answer_out_of_shape_is_invalid_and_not_repeated(answer: str) -> None:
    with pytest.raises(LLMError) as caught:
        read_judgement(answer, NOTE, DIARY)
    assert caught.value.kind == Failure.INVALID
    assert caught.value.__cause__ is None
    assert "fine" not in str(caught.value)


def test_a_judge_that_nobody_measured_only_warns() -> None:
    judgement = read_judgement(answered(("supported", [0]), ("contradicted", [0])), NOTE, DIARY)
    assert faithful(judgement).severity == "WARN"
    assert faithful(judgement, measured=True).severity == "ERROR"


def test_the_finding_stands_among_the_checks_only_when_a_judge_judged() -> None:
    found = faithful(read_judgement(answered(("supported", [0]), ("contradicted", [0])), NOTE, DIARY))
    assert "faithful" not in {c.name for c in check_note(NOTE, DIARY, DAY)}
    assert found in check_note(NOTE, DIARY, DAY, judged=found)


@pytest.mark.parametrize(
    ("note", "worth"),
    [
        (NOTE, True),
        # nothing but lifted sentences: there is nothing to judge
        (dataclasses.replace(NOTE, title="It rained", summary="It rained, and I missed him the whole day."), False),
        # free words that are well supported, in no near copy
        (
            dataclasses.replace(
                NOTE, title="It rained", summary="Tomasz and others helped me with the coffin outside."
            ),
            False,
        ),
    ],
)
def test_a_judge_is_asked_where_rules_doubt_or_are_blind(note: DiaryNote, worth: bool) -> None:
    doubts = [c for c in check_note(note, DIARY, DAY) if c.name == "summary_supported"] if worth else []
    assert worth_judging(note, Said(DIARY), doubts) is worth
