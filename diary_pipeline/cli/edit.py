"""`diary edit`: what can be corrected of a recording, correcting it, and taking corrections back.

What a correction means is notes/editing.py's business; the form for a text editor is edit_form.py's. What surprises:
this command reads by ledger pointer, so its numbers are right also before anything is published.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.errors import NotFound

if TYPE_CHECKING:
    from diary_pipeline.catalogue.corrections import Correctable
    from diary_pipeline.core.recording import Recording
    from diary_pipeline.notes.editing import Edited
    from diary_pipeline.notes.edits import Edit
    from diary_pipeline.wiring.deployment import Wiring

NUMBERED = ("what", "number", "kind", "at", "text", "machine_text")
LISTED = ("correction_id", "target", "placed", "machine_text", "text", "made_at", "made_by")


def edit(
    key: Annotated[str, typer.Argument(help="A recording key (its beginning or end will do) or submission id.")],
    segment: Annotated[
        list[str] | None,
        typer.Option("--segment", metavar="N=TEXT", help="What was really said in segment N; empty: nothing."),
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", metavar="N=TEXT", help="How item N of the note should read.")
    ] = None,
    remove_item: Annotated[
        list[int] | None, typer.Option("--remove-item", metavar="N", help="Strike item N from the note.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="The note's title.")] = None,
    date: Annotated[str | None, typer.Option("--date", help="The day the note tells of, as YYYY-MM-DD.")] = None,
    revert: Annotated[
        list[str] | None, typer.Option("--revert", metavar="ID", help="Take a correction back; `all`: every one.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="The corrections made so far, with their ids.")] = False,
    in_editor: Annotated[bool, typer.Option("--open", help="Correct all of it in $EDITOR.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who corrects; without it, the diary's owner.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Correct what was heard or written, or show what can be corrected, with numbers.

    The machine's words stay beside the correction, which survives every new transcript and note. Where what was said
    is corrected, the note of this recording is written again, and of no other.

    Examples: `diary edit 2026-05-01-walk`; `diary edit 2026-05-01-walk --segment "4=I met Priya at the harbour."`;
    `diary edit 2026-05-01-walk --title "By the river" --date 2026-04-30 --remove-item 3`;
    `diary edit 2026-05-01-walk --open`; `diary edit 2026-05-01-walk --list`;
    `diary edit 2026-05-01-walk --revert all`.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.catalogue.corrections import correctable
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    recording = _recording(wiring, key)
    there = correctable(wiring.ledger, wiring.store, recording)
    edits = _asked(segment or [], item or [], remove_item or [], title, date)
    if in_editor:
        from diary_pipeline.cli.edit_form import edited_by_hand

        edits += edited_by_hand(there)
    if edits or revert:
        done = wiring.edit(recording, edits, by or recording.owner, revert or (), seen=there.seen)
        _tell(done, recording)
    elif listed:
        print_rows(LISTED, _corrections(there), form)
    elif in_editor:
        say("Nothing was changed.")
    else:
        print_rows(NUMBERED, _numbered(there), form)


def _recording(wiring: "Wiring", said: str) -> "Recording":
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.ledger.submissions import Submission

    found = find(wiring.ledger, wiring.settings.catalogue_file, said)
    if isinstance(found, Submission):
        raise NotFound("recording_missing", f"{found.file_name} was never taken in, so there is nothing to correct.")
    return found.recording


def _asked(
    segments: list[str], items: list[str], removed: list[int], title: str | None, date: str | None
) -> "list[Edit]":
    from diary_pipeline.cli.edit_form import numbered
    from diary_pipeline.notes.edits import Edit

    whole = [Edit("title", title)] if title is not None else []
    whole += [Edit("note_date", date)] if date is not None else []
    return [
        *(Edit("segment", text, number) for number, text in map(numbered, segments)),
        *(Edit("item", text, number) for number, text in map(numbered, items)),
        *(Edit("removed_item", number=number) for number in removed),
        *whole,
    ]


def _numbered(there: "Correctable") -> list[tuple[object, ...]]:
    """Give what can be corrected as it reads now, and the machine's words where those are others."""
    from diary_pipeline.cli.edit_form import clock

    rows: list[tuple[object, ...]] = []
    if there.note and there.written:
        note, machine = there.note, there.written
        for what, now, before in (
            ("title", note.title, machine.title),
            ("date", note.note_date.isoformat(), machine.note_date.isoformat()),
        ):
            rows.append((what, None, None, None, now, _other(before, now)))
        written = {i.id: i.text for i in machine.items}
        rows += [("item", i.id, i.kind, clock(i.start_s), i.text, _other(written[i.id], i.text)) for i in note.items]
    heard = {s.id: s.text for s in there.heard.segments}
    spoken = [s for s in there.transcript.segments if s.kind != "silence"]
    return [*rows, *(("segment", s.id, s.kind, clock(s.start_s), s.text, _other(heard[s.id], s.text)) for s in spoken)]


def _other(machine: str, now: str) -> str | None:
    return machine if machine != now else None


def _corrections(there: "Correctable") -> list[tuple[object, ...]]:
    placed = there.placed
    return [
        (c.id, c.target, c.id in placed, c.machine_text, c.text, c.made_at, c.made_by) for c in there.corrections.made
    ]


def _tell(done: "Edited", recording: "Recording") -> None:
    if not done.seq:
        say(f"{recording.file_name} reads so already; nothing was changed.")
        return
    lost = len(done.after.corrections.made) - len(done.after.placed)
    say(f"{recording.file_name}: {len(done.after.corrections.made)} corrections now; in SQL after `diary publish`.")
    if lost:
        say(f"{lost} of them fall on words that are no longer there; `--list` shows which.")
    if done.is_said_anew:
        say(
            "Its note is planned to be written again: a running daemon (`diary dev`) does it, or the next "
            "`diary ingest --wait` that takes something in."
        )
