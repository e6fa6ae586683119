"""`diary notes` and `show`: what stands in the published catalogue."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.doubts import doubts
from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, as_dicts, print_json, print_markdown, print_rows, say, short
from diary_pipeline.cli.transcript import print_file, published_segments, transcript_lines
from diary_pipeline.core.batch import ENDED, UNWELL

if TYPE_CHECKING:
    from diary_pipeline.catalogue.query import Answer
    from diary_pipeline.settings import Settings

NOTES = "note_date, title, mood, language, writer, recording_key"
ITEMS = "kind, text, start_s, end_s, quote, due_date, segment_id, item_id, machine_text"


class ShowFormat(StrEnum):
    """How one note, or one transcript, is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"
    table = "table"
    csv = "csv"
    txt = "txt"
    srt = "srt"
    vtt = "vtt"
    md = "md"


FILES = frozenset({ShowFormat.txt, ShowFormat.srt, ShowFormat.vtt, ShowFormat.md})
"""Kinds of file that only a transcript can be."""


def notes(
    user: Annotated[str | None, typer.Option("--user", help="Whose notes; without it, everybody's.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="First day, as YYYY-MM-DD.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    form: FormatOption = Format.table,
) -> None:
    """List notes, the latest day first.

    Examples: `diary notes`; `diary notes --since 2026-05-01 --format json`.
    """
    settings = begin()
    existing_home(settings)
    wanted = [("user_id = ?", user), ("note_date >= CAST(? AS DATE)", since)]
    said = [(condition, value) for condition, value in wanted if value is not None]
    where = f"WHERE {' AND '.join(condition for condition, _ in said)}" if said else ""
    found = _query(
        settings,
        f"SELECT {NOTES} FROM notes {where} ORDER BY note_date DESC, recording_key DESC LIMIT {limit}",  # noqa: S608
        *[value for _, value in said],
    )
    if form is Format.table:
        rows = [(day, title, mood, short(str(key))) for day, title, mood, _, _, key in found.rows]
        print_rows(("note_date", "title", "mood", "id"), rows, form)
        say("`diary show ID` prints one.")
    else:
        print_rows(found.columns, found.rows, form)
    if not found.rows:
        asked = " of these days or this user" if said else ""
        say(f"No notes{asked} are published yet; `diary status` tells what is under way.")


def show(
    key: Annotated[str, typer.Argument(help="A recording key (its beginning or end will do) or submission id.")],
    form: Annotated[
        ShowFormat,
        typer.Option(
            "--format",
            "-f",
            help="json: all; table, csv: the items, or the segments; "
            "txt, srt, vtt, md: the transcript as plain text, subtitles or Markdown with front matter.",
        ),
    ] = ShowFormat.text,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="What was said, with times and doubts, instead of the note.")
    ] = False,
) -> None:
    """Show the note of one recording, or why it has none and what to do; or its transcript.

    Examples: `diary show 2026-05-01-walk`; `diary show 2026-05-01-walk --format markdown > walk.md`;
    `diary show 2026-05-01-walk --transcript`; `diary show 2026-05-01-walk --format srt > walk.srt`;
    `diary show 2026-05-01-walk --transcript --format json` (with the time of each word).

    Exit code 1: it was refused or has failed.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.ledger.opening import open_ledger
    from diary_pipeline.ledger.submissions import Submission

    ledger = open_ledger(settings.ledger_url)
    found = find(ledger, settings.catalogue_file, key)
    name = found.file_name if isinstance(found, Submission) else found.recording.file_name
    if isinstance(found, Submission):
        printed = False
    elif form in FILES or (transcript and form is ShowFormat.json):
        printed = print_file(settings, ledger, found.recording, form.value)
    elif transcript:
        printed = _print_transcript(settings, found.recording.key, form)
    else:
        printed = _print_note(settings, found.recording.key, form)
    if not isinstance(found, Submission):
        for doubt in doubts(settings.catalogue_file, {found.recording.key: name}, of_transcript=transcript):
            say(doubt)
        if corrected := _corrected(settings, found.recording.key):
            say(f"{name}: {corrected}")
        if found.recording.recorded_at.note:
            say(f"{name}: {found.recording.recorded_at.note}")
    if not printed or found.status in UNWELL:
        say(f"{name}: {_why_no_note(found.status, found.reason_code, found.message)}")
    if found.status in UNWELL:
        raise typer.Exit(1)


def _query(settings: "Settings", statement: str, *values: object) -> "Answer":
    from diary_pipeline.catalogue.query import query

    return query(settings.catalogue_file, statement, values)


def _print_note(settings: "Settings", key: str, form: ShowFormat) -> bool:
    """Print what is published of a recording; False: it has no published note."""
    if not settings.catalogue_file.exists():
        return False
    note = _query(settings, "SELECT * FROM notes WHERE recording_key = ?", key)
    items = _query(settings, f"SELECT {ITEMS} FROM note_items WHERE recording_key = ? ORDER BY item_id", key)  # noqa: S608
    if form is ShowFormat.json:
        recording = _query(settings, "SELECT * FROM recordings WHERE recording_key = ?", key)
        heard = published_segments(settings.catalogue_file, key)
        told, written, claims, said = (as_dicts(a.columns, a.rows) for a in (recording, note, items, heard))
        everything = {"note": next(iter(written), None), "items": claims, "segments": said}
        print_json({"recording": next(iter(told), None), **everything})
    if not note.rows:
        return False
    markdown = str(as_dicts(note.columns, note.rows)[0]["markdown"])
    match form:
        case ShowFormat.text:
            print_markdown(markdown)
        case ShowFormat.markdown:
            print(markdown.rstrip("\n"))
        case ShowFormat.table | ShowFormat.csv:
            print_rows(items.columns, items.rows, Format(form.value))
        case ShowFormat.json:
            pass
    return True


def _print_transcript(settings: "Settings", key: str, form: ShowFormat) -> bool:
    """Print the published transcript of a recording; False: there is none, or nothing was said."""
    if not settings.catalogue_file.exists():
        return False
    heard = published_segments(settings.catalogue_file, key)
    lines = transcript_lines(heard)
    if form not in (ShowFormat.text, ShowFormat.markdown):
        print_rows(heard.columns, heard.rows, Format(form.value))
    elif lines:
        print("\n".join(f"- {line}" for line in lines))
    return bool(lines)


def _corrected(settings: "Settings", key: str) -> str:
    """Say how much of a recording its owner has put right, as far as that is published; empty: nothing."""
    if not settings.catalogue_file.exists():
        return ""
    counted = "SELECT count(*), count(*) FILTER (WHERE NOT placed) FROM corrections WHERE recording_key = ?"
    [(made, lost)] = _query(settings, counted, key).rows
    if not made:
        return ""
    where = f", {lost} of them fall on words that are gone" if lost else ""
    return f"{made} corrections by its owner{where}; `diary edit {key} --list` shows them."


def _why_no_note(status: str, code: str | None, message: str | None) -> str:
    if code == "audio_no_speech":
        return f"no words were understood in it, so it has no note. [{code}]"
    if code:
        return f"{status} [{code}]: {message or 'no more is known'}"
    if status == "cancelled":
        return "cancelled by whoever asked for it, so it has no note; handed in again, it is made."
    if status in ENDED:
        return f"{status}, but not published yet; `diary publish` does it now."
    return f"{status}; `diary status --follow` waits for it."
