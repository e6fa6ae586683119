"""What `diary plan --sample` shows: a few notes as they are beside what would become of them.

Writing them is the configured writer's business and costs what a note costs; their answers are kept, so that the real
run uses them. Nothing is committed here.
"""

import difflib
import sys
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from diary_pipeline.cli.output import say
from diary_pipeline.core.errors import ServiceMissing, UsageError

if TYPE_CHECKING:
    from diary_pipeline.notes.stale import Stale
    from diary_pipeline.notes.writer import ToWrite
    from diary_pipeline.wiring.deployment import Wiring

MOST = 20
"""Samples at once; more would be the run itself."""


def compared(
    wiring: "Wiring", counted: "Sequence[Stale]", newest: Sequence[str], said: str, *, yes: bool
) -> dict[str, str]:
    """Write the stale notes that are meant and give the differences by recording key; empty where nobody agreed.

    ServiceMissing where no route answered.
    """
    from diary_pipeline.catalogue.read import markdown_of
    from diary_pipeline.notes.asked import asked_again

    keys = list(newest[: min(int(said), MOST)]) if _is_number(said) else [_stale_key(wiring, counted, said)]
    asked = {one.recording.key: one for one in asked_again(wiring.ledger, wiring.store, keys)}
    if not yes and not _agreed(wiring, list(asked.values())):
        say("No sample was written.")
        return {}
    return {
        key: diff(key, markdown_of(wiring.ledger, wiring.store, key) or "", new) for key, new in _written(wiring, asked)
    }


def diff(key: str, old: str, new: str) -> str:
    """Give the lines of a note that change, with those around them; empty where none does."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"{key} now", f"{key} then", lineterm="", n=2)
    return "\n".join(lines)


def _is_number(said: str) -> bool:
    return said.isdecimal() and len(said) <= 2


def _stale_key(wiring: "Wiring", counted: "Sequence[Stale]", said: str) -> str:
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.ledger.pointers import pointer
    from diary_pipeline.ledger.submissions import Submission

    row = find(wiring.ledger, wiring.settings.catalogue_file, said)
    if not isinstance(row, Submission):
        key, owner = row.recording.key, row.recording.owner
        with wiring.ledger.reading() as conn:
            note = pointer(conn, key, "note")
        if note and any((s.group.owner, s.group.made_with) == (owner, note.made_with) for s in counted):
            return key
    raise UsageError(
        "note_not_stale", f"{said} has no stale note, so there is nothing to compare; `diary plan` counts."
    )


def _agreed(wiring: "Wiring", asked: "Sequence[ToWrite]") -> bool:
    if wiring.note_writer.writer == "offline":
        return True
    if not sys.stdin.isatty():
        raise UsageError("nobody_to_ask", "A sample costs what a note costs: add --yes where nobody can be asked.")
    total = wiring.forecast(asked).total
    notes = f"{len(asked)} notes" if len(asked) > 1 else "1 note"
    if total.usd is None or total.most_usd is None:
        costs = "an unknown sum, because a route has no price"
    else:
        costs = f"about ${total.usd:.4f}, and ${total.most_usd:.4f} are set aside for it"
    return typer.confirm(f"Writing {notes} costs {costs}. Go on?", err=True)


def _written(wiring: "Wiring", asked: "dict[str, ToWrite]") -> list[tuple[str, str]]:
    from diary_pipeline.catalogue.overlay import corrected_note
    from diary_pipeline.notes.renderers.markdown import render_note

    found: list[tuple[str, str]] = []
    missed: list[str] = []
    for key, outcome in wiring.note_writer.write(list(asked.values()), f"plan-{uuid.uuid4().hex}"):
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.note.degraded:
            missed.append(f"{key} ({outcome.reason_code})")
            continue
        template, _ = wiring.note_writer.form(asked[key])
        shown = corrected_note(outcome.note, asked[key].corrections.made)
        found.append((key, render_note(shown, asked[key].recording.recorded_at, template)))
    if missed and not found:
        raise ServiceMissing(
            "no_route", f"No route gave a note of {', '.join(missed)}: `diary doctor` tells which could be asked."
        )
    for key in missed:
        say(f"No route gave a note of {key}.")
    return found
