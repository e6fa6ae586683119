"""`diary ingest`: hand in recordings, and with `--wait` stay until their notes can be queried."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.doubts import doubts
from diary_pipeline.cli.home import begin, prepare_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say, short
from diary_pipeline.core.batch import ENDED, PRIORITIES, UNWELL
from diary_pipeline.core.errors import ServiceMissing

if TYPE_CHECKING:
    from diary_pipeline.ledger.submissions import Submission
    from diary_pipeline.wiring.deployment import Wiring

SHORT = ("file_name", "status", "id", "reason_code")
COLUMNS = ("file_name", "status", "recording_key", "reason_code", "message", "submission_id")


def ingest(
    paths: Annotated[
        list[str], typer.Argument(help="Audio files, folders, or URLs (file, http, https).", show_default=False)
    ],
    user: Annotated[str, typer.Option("--user", help="Whose diary it is; default DIARY_DEFAULT_OWNER.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the notes of these can be queried.")] = False,
    model: Annotated[
        str,
        typer.Option("--model", help="Whisper model; without it a known recording keeps its own."),
    ] = "",
    language: Annotated[
        str,
        typer.Option("--language", help="ISO 639-1 code to force; `auto` detects, also where one was forced before."),
    ] = "",
    vocabulary: Annotated[
        list[str] | None,
        typer.Option("--vocabulary", help="Names and terms said in them, commas between; `-` takes them away again."),
    ] = None,
    priority: Annotated[str, typer.Option("--priority", help=f"One of {', '.join(PRIORITIES)}.")] = "medium",
    form: FormatOption = Format.table,
) -> None:
    """Take in audio files, folders and what URLs lead to; originals are never moved, renamed or deleted.

    Without --wait they are left to a running daemon (`diary dev`). With --wait the pipeline runs until they have ended:
    in the daemon if one is alive, in this process otherwise.

      diary ingest ~/Memos --wait

      diary ingest walk.m4a talk.opus --user anna --language de --vocabulary "Zillertal, Mika"

      diary ingest "https://example.org/memo.m4a?signature=..." --wait

    A known recording is heard again when it is handed in with another model, language or vocabulary.

    Exit code 1: some were refused or failed, and are named. A silent recording is well.
    """
    settings = begin()
    prepare_home(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    wanted = {"whisper_model": model, "language": language, "vocabulary": vocabulary or []}
    try:
        ids = take_in(wiring, paths, user, wanted, priority)
        if wait:
            stay(wiring, ids)
    except ServiceMissing:
        say("What was handed in is kept and waits; run the same command when that is mended.")
        raise
    except KeyboardInterrupt:
        wiring.intake.stop()
        say("Stopped. What was done is kept; run the same command to go on.")
        raise typer.Exit(130) from None
    rows = _rows(wiring, ids)
    if not rows:
        say(f"There is no audio in {', '.join(paths)}.")
        return
    if form is Format.table:
        print_rows(
            SHORT,
            [
                (r.file_name, r.status, short(r.recording_key) if r.recording_key else r.id[:12], r.reason_code)
                for r in rows
            ],
            form,
        )
    else:
        everything = [(r.file_name, r.status, r.recording_key, r.reason_code, r.message, r.id) for r in rows]
        print_rows(COLUMNS, everything, form)
    for doubt in doubts(settings.catalogue_file, {r.recording_key: r.file_name for r in rows if r.recording_key}):
        say(doubt)
    _say_lesser(rows)
    if bad := [r for r in rows if r.status in UNWELL or (r.reason_code and r.ended_at is None)]:
        say(f"{len(bad)} of {len(rows)} refused or failed:")
        for row in bad:
            again = "" if row.ended_at else " The daemon (`diary dev`) tries it again."
            say(f"  {row.message or row.file_name} [{row.reason_code}]{again}")
        raise typer.Exit(1)
    if all(row.status in ENDED for row in rows):
        if not wait:
            say("All of it was known and is done; another --model, --language or --vocabulary has it heard again.")
    elif not wait:
        say("Accepted. `diary dev` runs the daemon that transcribes them; `diary status` tells how far it is.")


def _say_lesser(rows: "Sequence[Submission]") -> None:
    lesser = [row for row in rows if row.status == "degraded"]
    if lesser:
        why = ", ".join(sorted({row.reason_code or "no route" for row in lesser}))
        say(
            f"{len(lesser)} of {len(rows)} notes stand in for better ones ({why}): `diary doctor` tells which models "
            "can be asked, llm_calls how they answered. The daemon (`diary dev`) tries again by and by."
        )


def take_in(
    wiring: "Wiring", paths: Sequence[str], user: str, wanted: Mapping[str, object], priority: str
) -> list[str]:
    """Submit the files, probe and store them, with a bar for those who watch; return the submission ids."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from diary_pipeline.cli.output import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("looking", total=None)
        ids = wiring.intake.submit(paths, user or wiring.settings.default_owner, "cli", wanted, priority=priority)
        bar.reset(task, total=len(ids), description="taking in")
        wiring.intake.work(float("inf"), len(ids), lambda _: bar.advance(task), ids=ids)
    return ids


def stay(wiring: "Wiring", ids: Sequence[str]) -> None:
    """Run or watch the pipeline until these submissions have ended and are published."""
    from diary_pipeline.cli.follow import Follow

    waiting = [r for r in _rows(wiring, ids) if r.ended_at is None]
    for model in sorted({str(r.options.get("whisper_model") or wiring.settings.whisper_model) for r in waiting}):
        wiring.demand(model)  # a missing model is told at once, not by every recording
    with Follow(wiring.ledger, ids) as follow:
        from diary_pipeline.cli.drain import wait_for  # seconds of imports, paid while the first line is on the screen

        wait_for(wiring, ids, follow.on_result, follow.on_trouble, follow.on_progress)


def _rows(wiring: "Wiring", ids: Sequence[str]) -> "list[Submission]":
    from diary_pipeline.ledger import submissions

    with wiring.ledger.reading() as conn:
        found = {r.id: r for r in submissions.get(conn, list(ids))}
    return [found[id] for id in dict.fromkeys(ids)]
