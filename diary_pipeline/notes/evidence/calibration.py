"""How many planted errors the checks catch, and how much of good notes they flag: one table, by kind of error.

The same functions for our diaries, for a user's, and for notes that a route drafted of ours (`with_note`). Limits are
chosen on the half "choose" and reported on the other. What real models did wrong is counted in replay.py.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.core.note import NoteItem
from diary_pipeline.notes.evidence import planting
from diary_pipeline.notes.evidence.checks import names_supported, numbers_supported, summary_supported
from diary_pipeline.notes.evidence.clauses import sentences_of
from diary_pipeline.notes.evidence.faults import (
    item_faults,
    large_numbers,
    sentence_faults,
    strange_names,
    strange_numbers,
    title_faults,
)
from diary_pipeline.notes.evidence.grounding import Said, names_in
from diary_pipeline.notes.evidence.reference_notes import Half, Reference
from diary_pipeline.notes.evidence.snapping import Snapper


@dataclass(frozen=True)
class Counted:
    """One row: how much of what is wrong was caught, and of what is right was flagged, with the targets."""

    kind: str
    planted: int
    caught: int
    good: int
    flagged: int
    least_caught: float | None = None
    most_flagged: float | None = None
    """None: told, not promised."""

    @property
    def recall(self) -> float:
        """Share of the errors that was caught."""
        return self.caught / self.planted if self.planted else float("nan")

    @property
    def false_alarms(self) -> float:
        """Share of what is right that was flagged."""
        return self.flagged / self.good if self.good else float("nan")

    @property
    def met(self) -> bool:
        """Tell whether both targets are met; a row without data or targets has none to miss."""
        missed = self.least_caught is not None and self.recall < self.least_caught
        alarming = self.most_flagged is not None and self.false_alarms > self.most_flagged
        return not (missed or alarming)


def planted_errors(
    references: Sequence[Reference], half: Half | None = "held_out", *, seed: int = planting.SEED
) -> tuple[Counted, ...]:
    """Plant errors of every kind into the notes of one half (None: of all) and count what is caught."""
    chosen = [r for r in references if half is None or r.half == half]
    rng = random.Random(seed)
    return (
        _names(chosen, rng),
        _numbers(chosen, rng),
        _foreign_notes(chosen, references, rng),
        _foreign_sentences(chosen, references, rng),
        *_quotes(chosen, references, rng),
        _items("due date not said", chosen, lambda r: planting.with_another_day(r, rng)),
        _items("quote of another item", chosen, lambda r: planting.with_another_quote(r, rng)),
        _items("wrong field", chosen, planting.in_the_wrong_field),
        _items("another person", chosen, planting.with_another_person),
        _items("negation turned", chosen, planting.negated),
    )


def _names(chosen: Sequence[Reference], rng: random.Random) -> Counted:
    planted = caught = good = flagged = 0
    for reference in chosen:
        said = Said(reference.transcript)
        language = reference.note.language
        found = [bool(strange_names(t, said, language)) for t in planting.with_foreign_names(reference, rng)]
        planted, caught = planted + len(found), caught + sum(found)
        names = [n for t in planting.told(reference.note) for n in names_in(t)]
        names += [i.text for i in reference.note.items if i.kind in ("person", "place")]
        good, flagged = good + len(names), flagged + sum(not said.has_name(n) for n in names)
    return Counted("name", planted, caught, good, flagged, 0.98, 0.02)


def _numbers(chosen: Sequence[Reference], rng: random.Random) -> Counted:
    planted = caught = good = flagged = 0
    for reference in chosen:
        said = Said(reference.transcript)
        found = [bool(strange_numbers(t, said)) for t in planting.with_foreign_numbers(reference, rng)]
        planted, caught = planted + len(found), caught + sum(found)
        texts = planting.told(reference.note)
        good += sum(len(large_numbers(t)) for t in texts)
        check = numbers_supported(said, texts, reference.note, reference.day)
        flagged += int(check.detail.split()[0])
    return Counted("number", planted, caught, good, flagged, 0.90, 0.02)


def _foreign_notes(chosen: Sequence[Reference], others: Sequence[Reference], rng: random.Random) -> Counted:
    planted = caught = flagged = 0
    for reference in chosen:
        said = Said(reference.transcript)
        for note in planting.foreign_notes(reference, others, rng):
            planted, caught = planted + 1, caught + _rejects(reference.with_note(note), said)
        flagged += _rejects(reference, said)
    return Counted("note of another recording", planted, caught, len(chosen), flagged, 0.80, 0.05)


def _rejects(reference: Reference, said: Said) -> bool:
    note = reference.note
    texts = [note.title, note.summary]
    checks = (
        summary_supported(note, said),
        names_supported(note, said, texts),
        numbers_supported(said, texts, note, reference.day),
    )
    return any(not c.passed and c.severity == "ERROR" for c in checks)


def _foreign_sentences(chosen: Sequence[Reference], others: Sequence[Reference], rng: random.Random) -> Counted:
    planted = caught = good = flagged = 0
    for reference in chosen:
        strangers = [o for o in others if o.key != reference.key]
        if not strangers:
            continue  # a single diary has no other one to take sentences from
        said, day = Said(reference.transcript), reference.day
        other = rng.choice(strangers)
        found = [bool(sentence_faults(s, said, day)) for s in sentences_of(other.note.summary)]
        planted, caught = planted + len(found), caught + sum(found)
        right = [bool(sentence_faults(s, said, day)) for s in sentences_of(reference.note.summary)]
        right.append(bool(title_faults(reference.note.title, said, day)))
        good, flagged = good + len(right), flagged + sum(right)
    return Counted("sentence of another recording", planted, caught, good, flagged)


def _quotes(chosen: Sequence[Reference], others: Sequence[Reference], rng: random.Random) -> Iterator[Counted]:
    invented = kept = verbatim = lost = misspelt = unfound = 0
    for reference in chosen:
        snapper = Snapper(reference.transcript)
        other = rng.choice([o for o in others if o.key != reference.key])
        for quote in planting.quotes(other, rng):
            invented, kept = invented + 1, kept + (snapper.snap(quote) is not None)
        for quote in planting.quotes(reference, rng):
            verbatim, lost = verbatim + 1, lost + (snapper.snap(quote) is None)
            misspelt += 1
            unfound += snapper.snap(planting.misspelt(quote, rng)) is None
    yield Counted("fabricated quote", invented, invented - kept, verbatim, lost, 0.96, 0.0)
    yield Counted("fabricated quote, good ones misspelt", invented, invented - kept, misspelt, unfound, 0.96)


def _items(kind: str, chosen: Sequence[Reference], plant: Callable[[Reference], Iterator[NoteItem]]) -> Counted:
    planted = caught = good = flagged = 0
    for reference in chosen:
        said = Said(reference.transcript)
        found = [bool(item_faults(item, said, reference.day)) for item in plant(reference)]
        planted, caught = planted + len(found), caught + sum(found)
        right = [bool(item_faults(item, said, reference.day)) for item in reference.note.items]
        good, flagged = good + len(right), flagged + sum(right)
    return Counted(kind, planted, caught, good, flagged, most_flagged=0.10)
