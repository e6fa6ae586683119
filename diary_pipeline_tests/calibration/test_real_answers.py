"""Recorded answers of real models go through the checks of today: what is caught, what good is flagged.

Rules were written with the answers marked `choose` at hand; what is promised is promised of the others.
"""

from collections import Counter

import pytest

from diary_pipeline.notes.evidence.replay import Answer, our_answers, real_errors, replay

ANSWERS = our_answers()
KINDS = {
    "date_not_said",
    "fabricated",
    "wrong_field",
    "said_differently",
    "quote_no_evidence",
    "paraphrase_as_quote",
    "wrong_segment",
    "empty_title",
    "obeyed_instruction",
    "prompt_words",
    "repeat",
}


@pytest.fixture(scope="module")
def held_out() -> tuple[Answer, ...]:
    return tuple(a for a in ANSWERS if a.use == "held_out")


def test_most_errors_of_real_answers_are_caught_and_few_good_items_flagged(held_out: tuple[Answer, ...]) -> None:
    everything, *by_type = real_errors(list(replay(held_out)))
    assert (everything.least_caught, everything.most_flagged) == (0.75, 0.10)
    assert everything.met, f"{everything.caught} of {everything.planted}, {everything.flagged} of {everything.good}"
    assert sum(row.planted for row in by_type) == everything.planted
    assert sum(row.caught for row in by_type) == everything.caught


def test_enough_was_labelled_and_by_known_types() -> None:
    items = [item for answer in ANSWERS for item in answer.items]
    assert len(items) >= 150
    assert {item.type for item in items if not item.good} <= KINDS
    assert all(not item.type for item in items if item.good)
    uses = Counter(
        answer.transcript.recording_key for answer in {a.transcript.recording_key: a for a in ANSWERS}.values()
    )
    assert len(uses) >= 8


def test_no_diary_is_used_for_both_ends() -> None:
    uses = {(a.transcript.recording_key, a.use) for a in ANSWERS}
    assert len(uses) == len({key for key, _ in uses})


def test_nothing_that_obeyed_a_spoken_order_gets_through() -> None:
    obeyed = [r for r in replay(ANSWERS) if r.item.type == "obeyed_instruction"]
    assert obeyed
    assert [r.item.field for r in obeyed if not r.faults] == []
