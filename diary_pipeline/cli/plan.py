"""`diary plan`: which notes would be written otherwise today, and what that would cost, before anything is spent.

Reads ledger and transcripts and asks nobody; sample.py writes the one note that a comparison needs. The surprise: the
command plans nothing itself. A running daemon does, by its sensor `stale_notes`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_json, print_rows, say
from diary_pipeline.cli.sample import compared
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from diary_pipeline.notes.routed.forecast import Forecast, Sum
    from diary_pipeline.notes.stale import Stale, StaleNotes
    from diary_pipeline.notes.writer import ToWrite
    from diary_pipeline.wiring.deployment import Wiring

STALE = ("user_id", "reason", "made_with", "notes", "audio_hours")
ROUTES = ("route", "model", "notes", "input_tokens", "output_tokens", "usd", "usd_at_most")
TOTAL = "first choice"
"""Instead of a route's name: each note by the route that would be asked first."""
Rows = list[tuple[object, ...]]


def plan(
    user: Annotated[str | None, typer.Option("--user", help="Whose notes; without it, everybody's.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Transcripts to read at most; the rest is taken to be like them.")
    ] = 200,
    sample: Annotated[
        str | None,
        typer.Option(
            "--sample", help="Write this note anew (a key, or how many of the newest) and show what would change."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write the sample without asking.")] = False,
    form: FormatOption = Format.table,
) -> None:
    """Tell which notes are stale and why, and what writing them anew would take and cost on each route.

    Nothing is spent, but for a sample: that is asked for first, and its answer is kept, so it is paid once. Reasons:
    degraded (stands in for a note that no route gave), writer (language models write now, or no longer do), template
    (another one is chosen now), prompt (the words of a question or of a template were changed).

    Examples: `diary plan`; `diary plan --user anna --format json`; `diary plan --sample 2026-05-01-walk`.

    Exit code 3: the sample could not be written, because no route answered.
    """
    if sample and form is Format.csv:
        raise UsageError("format_unfit", "A comparison is no table: use --format table or json with --sample.")
    settings = begin()
    existing_home(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    notes = wiring.stale_notes
    counted = notes.counted(user)
    looked_at = _newest(wiring, notes, counted, limit)
    found = wiring.forecast(looked_at)
    stale, routes = _stale_rows(counted), _route_rows(wiring, found, _share(counted, looked_at))
    if form is not Format.json:
        _print_tables(stale, routes, form)
    _tell(wiring, counted, found, len(looked_at))
    diffs: dict[str, str] = {}
    if sample and counted:
        diffs = compared(wiring, counted, [asked.recording.key for asked in looked_at], sample, yes=yes)
    if form is Format.json:
        dicts = ([dict(zip(columns, row, strict=True)) for row in rows] for columns, rows in _both(stale, routes))
        print_json(dict(zip(("stale", "routes"), dicts, strict=True)) | ({"samples": diffs} if sample else {}))
    for key, diff in diffs.items() if form is Format.table else ():
        print(f"\n{diff or f'{key}: nothing would change'}")


def _newest(wiring: "Wiring", notes: "StaleNotes", counted: "Sequence[Stale]", limit: int) -> "list[ToWrite]":
    """Give the newest stale notes over all owners and reasons."""
    from diary_pipeline.notes.asked import asked_again

    keys = sorted((key for stale in counted for key in notes.newest(stale.group, limit)), reverse=True)
    return asked_again(wiring.ledger, wiring.store, keys[:limit])


def _share(counted: "Sequence[Stale]", looked_at: "Sequence[ToWrite]") -> float:
    """How many times as much as was looked at there is, by notes."""
    return sum(stale.group.notes for stale in counted) / len(looked_at) if looked_at else 1.0


def _stale_rows(counted: "Sequence[Stale]") -> Rows:
    groups = [(stale.reason, stale.group) for stale in counted]
    return [(g.owner, reason, g.made_with, g.notes, round(g.audio_s / 3600, 2)) for reason, g in groups]


def _route_rows(wiring: "Wiring", found: "Forecast", share: float) -> Rows:
    if not any(each.notes for each in found.routes.values()):
        return []
    models = {route.name: route.model for route in wiring.settings.llm.usable}
    rows = [_row(name, models[name], each.scaled(share), share) for name, each in found.routes.items()]
    return [*rows, _row(TOTAL, "", found.total.scaled(share), share)]


def _row(name: str, model: str, each: "Sum", share: float) -> tuple[object, ...]:
    money = tuple(None if amount is None else round(amount, 6) for amount in (each.usd, each.most_usd))
    return (name, model, round(each.notes * share), each.likely.input, each.likely.output, *money)


def _both(stale: Rows, routes: Rows) -> list[tuple[tuple[str, ...], Rows]]:
    return [(STALE, stale), (ROUTES, routes)]


def _print_tables(stale: Rows, routes: Rows, form: Format) -> None:
    if form is Format.csv:  # one table: what it is first, and no cell where a column is not its own
        columns = ("table", *STALE, *(name for name in ROUTES if name not in STALE))
        both = [("stale", STALE, row) for row in stale] + [("routes", ROUTES, row) for row in routes]
        cells = [{"table": table, **dict(zip(names, row, strict=True))} for table, names, row in both]
        print_rows(columns, [[cell.get(name) for name in columns] for cell in cells], form)
        return
    for columns, rows in _both(stale, routes):
        if rows:
            print_rows(columns, [["unpriced" if cell is None else cell for cell in row] for row in rows], form)


def _tell(wiring: "Wiring", counted: "Sequence[Stale]", found: "Forecast", looked_at: int) -> None:
    notes, policy = sum(stale.group.notes for stale in counted), wiring.settings.llm.policy
    if not notes:
        say("No note is stale: all that are known were made with what is configured now.")
        return
    if looked_at < notes:
        say(f"Estimated from the {looked_at} newest of {notes} notes; --limit reads more of them.")
    if wiring.note_writer.writer == "offline":
        say("No route is configured: the offline writer writes them, and nothing is paid.")
    elif found.total.notes < looked_at:
        say(f"No usable route may see {looked_at - found.total.notes} of {looked_at} of them; those stay as they are.")
    if found.total.usd and found.total.usd * notes / looked_at > policy.day_budget_usd:
        say(f"That is more than day_budget_usd ({policy.day_budget_usd:g}) allows a day; the rest follows later.")
    say("A running daemon writes them, what is new first.")
