"""Which versions a merge keeps, and how it keeps two of one subject apart. That merging is safe: contract/."""

import pytest

from diary_pipeline.catalogue.merge import generations, kept
from diary_pipeline.ledger.log_objects import Holding
from diary_pipeline.ledger.pointers import PointerKind


def lay(text: str, subject: str = "walk") -> list[Holding]:
    """Read `note v1 1 A`: kind, version, seq, object."""
    kinds: dict[str, PointerKind] = {"t": "transcript", "n": "note", "o": "outcome", "c": "correction"}
    rows = [line.split() for line in text.split(",")]
    return [Holding(subject, kinds[kind], int(seq), version, place) for kind, version, seq, place in rows]


BOTH = {("walk", "note"), ("walk", "outcome")}


@pytest.mark.parametrize(
    ("history", "current", "expected", "why"),
    [
        ("n v1 1 A", {("walk", "note")}, {"n A"}, "the only version"),
        ("n v1 1 A, n v2 2 B, n v3 3 C", {("walk", "note")}, {"n C", "n B"}, "this one and the one before"),
        ("n v1 1 A, n v2 2 B, n v1 3 A", {("walk", "note")}, {"n A", "n B"}, "rolled back: the later one is before"),
        ("n v1 1 A, n v2 2 B, n v2 3 C", {("walk", "note")}, {"n C", "n A"}, "made again alike: another version"),
        ("n v1 1 A", set(), set(), "erased: nothing is carried on"),
        ("n v1 1 A, o ok 1 A, n v2 2 B, o ok 2 B", BOTH, {"n A", "n B", "o A", "o B"}, "each with how it ended"),
        (
            "n v1 1 A, o ok 1 A, n v2 2 B, o ok 2 B, n v2 3 C, o ok 3 C",
            BOTH,
            {"n C", "n A", "o A", "o B", "o C"},
            "same",
        ),
        ("o failed 1 A, o failed 2 B, o failed 3 C", BOTH, {"o C", "o B"}, "a failure and the one before"),
        ("c x 1 A, c y 2 B, c z 3 C", {("walk", "correction")}, {"c C", "c B"}, "corrections are versions too"),
        ("t v1 1 A, n v1 2 B", {("walk", "transcript"), ("walk", "note")}, {"t A", "n B"}, "each kind for itself"),
    ],
)
def test_the_current_and_the_previous_version_are_kept(
    history: str, current: set[tuple[str, PointerKind]], expected: set[str], why: str
) -> None:
    assert {f"{kind[0]} {place}" for _, kind, place in kept(lay(history), current)} == expected, why


def test_two_versions_of_one_subject_never_meet_and_the_current_ones_come_first() -> None:
    walk = lay("n v1 1 A, o ok 1 A, n v2 2 B, o ok 2 B")
    bread = lay("n v1 1 A, o ok 1 A, n v0 0 Z", "bread")
    places = {(h.subject, h.kind, h.object_id) for h in (*walk, *bread) if h.object_id != "Z"}
    first, second = generations([*walk, *bread], places)
    assert {(h.subject, h.kind, h.object_id) for h in first} == {
        ("walk", "note", "B"),
        ("walk", "outcome", "B"),
        ("bread", "note", "A"),
        ("bread", "outcome", "A"),
    }
    assert {(h.subject, h.kind, h.object_id) for h in second} == {("walk", "note", "A"), ("walk", "outcome", "A")}


def test_one_place_pointed_to_twice_is_one_version() -> None:
    back = lay("n v1 1 A, n v2 2 B, n v1 3 A")
    first, second = generations(back, {("walk", "note", "A"), ("walk", "note", "B")})
    assert [(h.seq, h.object_id) for h in first] == [(3, "A"), (1, "A")]
    assert [(h.seq, h.object_id) for h in second] == [(2, "B")]
    assert generations(back, set()) == []
