"""`diary status`: how far everything is, or one recording. Reads the ledger, so it is ahead of the catalogue."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.export import edited_pages
from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.batch import ENDED, UNWELL

if TYPE_CHECKING:
    from diary_pipeline.ledger.connect import Ledger

POLL_S = 1.0
ALL = ("status", "submissions")
ONE = ("recording_key", "status", "stage", "reason_code", "message", "file_name", "recorded_at")
Rows = list[tuple[object, ...]]


def status(
    key: Annotated[
        str | None, typer.Argument(help="A recording key (its beginning or end will do) or submission id.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Stay until all has ended; print what changes.")] = False,
    form: FormatOption = Format.table,
) -> None:
    """Tell how far all recordings are, or one.

    Examples: `diary status`; `diary status 2026-05-01-walk --follow`.

    Exit code 1: the recording that was asked for was refused or has failed.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.ledger.opening import open_ledger

    ledger = open_ledger(settings.ledger_url)
    look: Callable[[], Rows] = (lambda: _one(ledger, settings.catalogue_file, key)) if key else (lambda: _all(ledger))
    rows: Rows = []
    for rows in _looks(look, ended=lambda seen: _has_ended(seen, bool(key)), follow=follow):
        if key and form is Format.table:
            print_rows(("", ""), [pair for pair in zip(ONE, rows[0], strict=True) if pair[1] is not None], form)
        else:
            print_rows(ONE if key else ALL, rows, form)
    for sentence in edited_pages(settings.home):
        say(sentence)
    if key and rows[0][1] in UNWELL:
        raise typer.Exit(1)
    if behind := _behind(ledger, settings.catalogue_file):
        say(f"{behind} commits are not published yet; a running daemon or `diary publish` does it.")


def _looks(look: Callable[[], Rows], ended: Callable[[Rows], bool], follow: bool) -> Iterator[Rows]:
    seen: Rows | None = None
    while True:
        now = look()
        if now != seen:
            yield now
        if not follow or ended(now):
            return
        seen = now
        time.sleep(POLL_S)


def _has_ended(rows: Rows, one: bool) -> bool:
    return all(row[1 if one else 0] in ENDED for row in rows)


def _all(ledger: "Ledger") -> Rows:
    from diary_pipeline.ledger import submissions

    with ledger.reading() as conn:
        return [(name, number) for name, number in sorted(submissions.counts(conn).items()) if number]


def _one(ledger: "Ledger", live: Path, said: str) -> Rows:
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.ledger.submissions import Submission

    found = find(ledger, live, said)
    if isinstance(found, Submission):
        return [(None, found.status, None, found.reason_code, found.message, found.file_name, None)]
    r = found.recording
    stage, code, message = found.failed_stage, found.reason_code, found.message
    return [(r.key, found.status, stage, code, message, r.file_name, r.recorded_at.at)]


def _behind(ledger: "Ledger", live: Path) -> int:
    from diary_pipeline.ledger.clock import clock_now
    from diary_pipeline.ledger.identity import ticks_between
    from diary_pipeline.ledger.publications import place_of, published_watermark

    with ledger.reading() as conn:
        return ticks_between(published_watermark(conn, place_of(live)), clock_now(conn))
