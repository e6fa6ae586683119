"""Errors planted into good notes, the same ones for the same seed: names, numbers, quotes, negations, persons, fields.

Planted errors are easier to see than those that models make; they show that a check works at all and that it goes on
working. What is caught is counted in calibration.py.
"""

import dataclasses
import datetime as dt
import random
import re
from collections.abc import Iterator, Sequence

from diary_pipeline.core.note import DiaryNote, NoteItem
from diary_pipeline.notes.evidence.clauses import sentences_of
from diary_pipeline.notes.evidence.grounding import Said, names_in, normalise
from diary_pipeline.notes.evidence.reference_notes import Reference
from diary_pipeline.notes.language.english import listed

SEED = 7
_PEOPLE = listed("""
    Alice Priya Hassan Tomás Kwame Yusuf Mei Oluwaseun Bianca Rashid Petra Soraya Lachlan Noor Aisling Takeshi Zuzana
    Fergus Cordelia Mbali Rafael Svetlana Bartholomew Ottoline
""")
_PLACES = listed("Nairobi Lisbon Osaka Tallinn Marrakesh Winnipeg Quito Dresden Perth Kraków Ljubljana Adelaide")
_AMOUNTS = (23, 37, 68, 230, 475, 1900)
_VERB = re.compile(r"\b(is|was|were|are|had|has|could|should|will|would)\b(?! not)(?!n't)")
_NOT = re.compile(r"\b(do|does|did|was|is|were|has|have|had|could|should|would)(?:n't| not)\b|\bcan(?:'t|not)\b")
_FIRST = re.compile(r"\bI\b")
_TOLD = ("event", "reflection", "action")


def told(note: DiaryNote) -> list[str]:
    """Give the texts in which something is told: the title, the sentences of the summary and the items."""
    return [note.title, *sentences_of(note.summary), *(i.text for i in note.items if i.kind in _TOLD)]


def with_foreign_names(reference: Reference, rng: random.Random) -> Iterator[str]:
    """Swap a name of each text that holds one, and add one to each that is a sentence."""
    said = Said(reference.transcript)
    people, places = ([n for n in names if not said.has_name(n)] for names in (_PEOPLE, _PLACES))
    for text in told(reference.note):
        if names := names_in(text):
            yield text.replace(rng.choice(names), rng.choice(people), 1)
        yield f"{text.rstrip('.')} {rng.choice(('with ' + rng.choice(people), 'in ' + rng.choice(places)))}."


def with_foreign_numbers(reference: Reference, rng: random.Random) -> Iterator[str]:
    """Change a number of each text that holds one in digits, and add one to each."""
    said = Said(reference.transcript).numbers
    for text in told(reference.note):
        if digits := [d for d in re.findall(r"\d[\d,]*", text) if int(d.replace(",", "")) > 12]:
            was = rng.choice(digits)
            wrong = next(n for n in (int(was.replace(",", "")) + k for k in (7, 11, 40, 3)) if n not in said)
            yield text.replace(was, str(wrong), 1)
        amount = rng.choice([n for n in _AMOUNTS if n not in said])
        yield f"{text.rstrip('.')}, {amount} of them."


def foreign_notes(reference: Reference, others: Sequence[Reference], rng: random.Random) -> Iterator[DiaryNote]:
    """Put the notes of three other diaries in the place of the right one."""
    for other in rng.sample([o for o in others if o.key != reference.key], k=min(3, len(others) - 1)):
        yield dataclasses.replace(other.note, items=(), language=reference.note.language)


def quotes(reference: Reference, rng: random.Random, many: int = 12) -> Iterator[str]:
    """Cut runs of 6 to 14 words out of what was said."""
    lines = [line for s in reference.transcript.speech if len(line := s.text.split()) > 6]
    for line in rng.choices(lines, k=many):
        at = rng.randrange(len(line) - 5)
        yield " ".join(line[at : at + rng.randint(6, 14)])


def misspelt(quote: str, rng: random.Random) -> str:
    """Drop, change or add one word."""
    words = quote.split()
    at = rng.randrange(1, len(words) - 1)
    words[at : at + 1] = rng.choice(([], ["something"], [words[at], "just"]))
    return " ".join(words)


def negated(reference: Reference) -> Iterator[NoteItem]:
    """Deny what items affirm and affirm what they deny."""
    for item in _claims(reference):
        if _NOT.search(item.text):
            yield dataclasses.replace(item, text=_NOT.sub(lambda found: found[1] or "can", item.text, count=1))
        elif _VERB.search(item.text):
            yield dataclasses.replace(item, text=_VERB.sub(r"\1 not", item.text, count=1))


def with_another_person(reference: Reference) -> Iterator[NoteItem]:
    """Let somebody else have done what the speaker did, in the speaker's own words."""
    for item in _claims(reference):
        if found := _FIRST.search(item.quote):
            quote = item.quote[found.start() :]
            yield dataclasses.replace(item, text=_FIRST.sub("He", quote, count=1))


def in_the_wrong_field(reference: Reference) -> Iterator[NoteItem]:
    """Tell what happened as a to-do, and what is to do as an event."""
    for item in _claims(reference):
        if item.kind != "reflection":
            yield dataclasses.replace(item, kind="event" if item.kind == "action" else "action", due_date=None)


def with_another_day(reference: Reference, rng: random.Random) -> Iterator[NoteItem]:
    """Shift due dates, and give one to what has none."""
    for item in _claims(reference):
        if item.kind == "action":
            day = (item.due_date or reference.day) + dt.timedelta(days=rng.choice((-2, 1, 2, 9)))
            yield dataclasses.replace(item, due_date=day)


def with_another_quote(reference: Reference, rng: random.Random) -> Iterator[NoteItem]:
    """Give an item the evidence of one that is about something else."""
    claims = list(_claims(reference))
    for item in claims:
        words = set(normalise(item.text).split())
        other = rng.choice([c for c in claims if abs(c.segment_id - item.segment_id) > 1] or [item])
        if other is not item and len(words & set(normalise(other.quote).split())) < 4:
            where = {f: getattr(other, f) for f in ("segment_id", "start_s", "end_s", "quote")}
            yield dataclasses.replace(item, due_date=None, **where)


def _claims(reference: Reference) -> Iterator[NoteItem]:
    return (i for i in reference.note.items if i.kind in _TOLD)
