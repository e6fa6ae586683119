"""Errors planted into good notes are caught, good notes are left alone, and the measure itself can fail."""

import dataclasses

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.notes.evidence import planting
from diary_pipeline.notes.evidence.calibration import Counted, planted_errors
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.evidence.reference_notes import Reference, our_references, read_references

REFERENCES = our_references()
TARGETS = {
    "name": (0.98, 0.02),
    "number": (0.90, 0.02),
    "note of another recording": (0.80, 0.05),
    "fabricated quote": (0.96, 0.0),
}


@pytest.mark.parametrize("half", ["choose", "held_out"])
def test_what_was_promised_of_planted_errors_is_kept(half: str) -> None:
    table = {row.kind: row for row in planted_errors(REFERENCES, half)}  # type: ignore[arg-type]
    for kind, (least, most) in TARGETS.items():
        row = table[kind]
        assert (row.least_caught, row.most_flagged) == (least, most)
        assert row.recall >= least, f"{kind}: {row.caught} of {row.planted}"
        assert row.false_alarms <= most, f"{kind}: {row.flagged} of {row.good}"
        assert row.met
    assert [row.kind for row in table.values() if not row.met] == []


def test_the_same_seed_plants_the_same_errors() -> None:
    assert planted_errors(REFERENCES[:6], None) == planted_errors(REFERENCES[:6], None)


def test_there_is_enough_to_measure_on() -> None:
    for half in ("choose", "held_out"):
        chosen = [r for r in REFERENCES if r.half == half]
        words = [len(r.transcript.text.split()) for r in chosen]
        assert len(chosen) >= 12
        assert min(words) >= 60
        assert max(words) >= 250
    assert len({r.key for r in REFERENCES}) == len(REFERENCES)


def strange(reference: Reference) -> Reference:
    """Put into a good note what nobody said."""
    summary = f"{reference.note.summary} Then Bartholomew gave me 4711 apples."
    return reference.with_note(dataclasses.replace(reference.note, summary=summary))


def test_notes_that_are_not_good_are_seen_as_false_alarms() -> None:
    table = {row.kind: row for row in planted_errors([strange(r) for r in REFERENCES], None)}
    assert table["name"].flagged >= len(REFERENCES)
    assert table["number"].flagged >= len(REFERENCES)
    assert not table["name"].met
    assert not table["number"].met


def test_good_notes_pass_every_check_that_rejects() -> None:
    for reference in REFERENCES:
        checks = check_note(reference.note, reference.transcript, reference.day)
        assert [c.name for c in checks if not c.passed and c.severity == "ERROR"] == [], reference.key


def test_foreign_names_and_numbers_are_foreign() -> None:
    import random

    rng = random.Random(planting.SEED)
    for reference in REFERENCES[:4]:
        spoken = reference.transcript.text
        for text in planting.with_foreign_names(reference, rng):
            assert text not in planting.told(reference.note)
            assert text not in spoken


def test_a_row_without_data_misses_no_target_and_a_bad_one_does() -> None:
    assert Counted("name", 0, 0, 0, 0, 0.98, 0.02).met
    assert not Counted("name", 100, 97, 100, 0, 0.98, 0.02).met
    assert not Counted("name", 100, 100, 100, 3, 0.98, 0.02).met


@pytest.mark.parametrize(
    "text",
    ["no toml at all [", "[[note]]\nkey='x'", "[[diary]]\nkey='x'\nday=2026-01-01\nsaid='I ran.'\ntitle='x'"],
)
def test_a_file_that_holds_no_diaries_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_references(text)
    assert refused.value.code == "references_unreadable"


def test_a_quote_that_was_not_said_is_no_evidence_for_a_good_note() -> None:
    diary = """
[[diary]]
key = "run"
day = 2026-01-01
said = "I ran along the river before breakfast."
title = "A run"
summary = "I ran."
items = [{kind = "event", text = "Ran.", quote = "We swam across the lake at midnight"}]
"""
    with pytest.raises(UsageError):
        read_references(diary)
