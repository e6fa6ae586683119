"""`diary status`: how far everything is, or one recording. Reads the ledger, so it is ahead of the catalogue."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.batch import ENDED

if TYPE_CHECKING:
    from diary_pipeline.wiring import Wiring

POLL_S = 1.0
UNWELL = frozenset({"failed", "refused"})
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
    from diary_pipeline.wiring import Wiring  # loads what a mistake need not wait for

    wiring = Wiring(settings)
    look: Callable[[], Rows] = (lambda: _one(wiring, key)) if key else (lambda: _all(wiring))
    rows: Rows = []
    for rows in _looks(look, ended=lambda seen: _has_ended(seen, bool(key)), follow=follow):
        print_rows(ONE if key else ALL, rows, form)
    if key and rows[0][1] in UNWELL:
        raise typer.Exit(1)
    if behind := _behind(wiring):
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


def _all(wiring: "Wiring") -> Rows:
    from diary_pipeline.ledger import submissions

    with wiring.ledger.reading() as conn:
        return [(name, number) for name, number in sorted(submissions.counts(conn).items()) if number]


def _one(wiring: "Wiring", said: str) -> Rows:
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.ledger.submissions import Submission

    found = find(wiring, said)
    if isinstance(found, Submission):
        return [(None, found.status, None, found.reason_code, found.message, found.file_name, None)]
    r = found.recording
    stage, code, message = found.failed_stage, found.reason_code, found.message
    return [(r.key, found.status, stage, code, message, r.file_name, r.recorded_at.at)]


def _behind(wiring: "Wiring") -> int:
    from diary_pipeline.ledger import commits

    with wiring.ledger.reading() as conn:
        return commits.clock_now(conn) - commits.published_watermark(conn)
