"""`diary quarantine`: what was refused or failed, why, how often; and how it is tried again or dropped.

Reads the ledger, so it is ahead of the catalogue. The rule of automatic retries stands in ledger/retries.py.
"""

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say, short
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from diary_pipeline.ledger.connect import Ledger
    from diary_pipeline.settings import Settings
    from diary_pipeline.wiring.deployment import Wiring

COLUMNS = ("file_name", "stage", "code", "message", "at", "id")
ATTEMPTS = ("at", "stage", "code", "tried_again_at")
AT_ONCE = 500
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many at most, the newest first.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Keys (beginning or end will do) or ids of refused files.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="All that have this code.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that there is.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

app = typer.Typer(help="What was refused or failed, and why; tried again or dropped.", invoke_without_command=True)


@app.callback()
def quarantine(context: typer.Context, limit: LimitOption = 50, form: FormatOption = Format.table) -> None:
    """List recordings that were refused or failed, with stage, code and what to do; the newest first.

    Examples: `diary quarantine`; `diary quarantine --limit 10 --format json`.
    """
    if context.invoked_subcommand is None:
        list_troubles(limit, form)


@app.command("list")
def list_troubles(limit: LimitOption = 50, form: FormatOption = Format.table) -> None:
    """List recordings that were refused or failed; the same as without a word."""
    settings = begin()
    existing_home(settings)
    from diary_pipeline.intake.quarantine import quarantine as look
    from diary_pipeline.ledger.opening import open_ledger

    page = look(open_ledger(settings.ledger_url), limit=limit)
    print_rows(
        COLUMNS,
        [(q.file_name, q.stage, q.code, q.message, q.at, short(q.key) if q.key else q.id[:12]) for q in page.rows],
        form,
    )
    if page.next:
        say(f"There are more than these {limit}; ask with a higher --limit.")


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="Key (beginning or end will do), or id of a refused file.")],
    form: FormatOption = Format.table,
) -> None:
    """Show one with its whole history: each time it failed, by which code, and whether it was tried again."""
    settings = begin()
    existing_home(settings)
    from diary_pipeline.intake.addresses import shown_url
    from diary_pipeline.ledger import quarantine as ledger_quarantine
    from diary_pipeline.ledger.failures import failures_of
    from diary_pipeline.ledger.opening import open_ledger

    ledger = open_ledger(settings.ledger_url)
    name = _named(ledger, settings, id)
    with ledger.reading() as conn:
        trouble = ledger_quarantine.find(conn, name)
        history = failures_of(conn, name)
        dropped = ledger_quarantine.dropped(conn, trouble) if trouble else None
    rows = [(_at(f.at), f.stage, f.code, _at(f.again_at) if f.again_at else None) for f in history]
    print_rows(ATTEMPTS, rows, form)
    if trouble is None:
        say(f"{name} is not in quarantine.")
        return
    where = shown_url(trouble.uri) if trouble.uri and "://" in trouble.uri else trouble.uri or trouble.key
    say(f"{trouble.file_name} of {trouble.owner}, {where}:")
    say(f"  {trouble.message} [{trouble.code}]")
    if dropped:
        say(f"  Dropped at {_at(dropped[0])} by {dropped[1]}.")


@app.command()
def retry(ids: Ids = None, code: CodeOption = None, everything: AllOption = False, yes: YesOption = False) -> None:
    """Try some again, as if they had just come in.

    Examples: `diary quarantine retry 2026-05-01-walk`; `diary quarantine retry --code internal_error`.

    Exit code 1: some are not tried again; which and why is said.
    """
    from diary_pipeline.intake.quarantine_ends import retry as try_again

    wiring, chosen = _chosen(ids, code, everything, yes, "tried again")
    done = [one for some in _some(chosen) for one in try_again(wiring.ledger, wiring.store, some)]
    renamed = [one for one in done if one.id != one.now]
    say(f"{len(done)} are tried again; `diary dev` runs the daemon that does it.")
    for one in renamed:
        say(f"  {one.id[:12]} goes on as {one.now[:12]}")
    tried = {one.id for one in done}
    if left := [id for id in chosen if id not in tried]:
        _say_why_not(wiring.ledger, left)


def _say_why_not(ledger: "Ledger", ids: Sequence[str]) -> None:
    """Say of each why it is not tried again, and end with 1 unless all of them were before."""
    from diary_pipeline.ledger import quarantine as ledger_quarantine
    from diary_pipeline.ledger.quarantine_ends import uploads_among

    is_well = True
    with ledger.reading() as conn:
        gone = set(uploads_among(conn, ids))
        for id in ids:
            trouble, on = ledger_quarantine.find(conn, id), ledger_quarantine.goes_on_as(conn, id)
            name = f"{trouble.file_name} ({id[:12]})" if trouble else id
            if on is not None:
                say(f"  {name} was tried again before: it goes on as {on[:12] if trouble else on}")
                continue
            is_well = False
            why = "what was uploaded is no longer kept; send it again" if id in gone else "it is not in quarantine"
            say(f"  {name} is not tried again: {why}.")
    if not is_well:
        raise typer.Exit(1)


@app.command()
def drop(ids: Ids = None, code: CodeOption = None, everything: AllOption = False, yes: YesOption = False) -> None:
    """Take some out of this list; they stay counted, and come back if they fail once more.

    Example: `diary quarantine drop --code audio_empty --yes`.
    """
    from diary_pipeline.intake.quarantine_ends import drop as let_go

    wiring, chosen = _chosen(ids, code, everything, yes, "dropped")
    by = getpass.getuser()
    done = [id for some in _some(chosen) for id in let_go(wiring.ledger, wiring.store, some, by)]
    say(f"{len(done)} were dropped.")


def _chosen(
    ids: Sequence[str] | None, code: str | None, everything: bool, yes: bool, what: str
) -> "tuple[Wiring, list[str]]":
    """Say how many are meant, and ask unless they were named one by one."""
    if bool(ids) + (code is not None) + everything != 1:
        raise UsageError("quarantine_which", "Name some, or say --code CODE, or --all: one of the three.")
    settings = begin()
    existing_home(settings)
    from diary_pipeline.intake.quarantine import every
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    ledger = wiring.ledger
    chosen = [_named(ledger, settings, id) for id in ids or ()] or [q.id for q in every(ledger, code=code)]
    if not ids:
        say(f"{len(chosen)} are in quarantine{f' with {code}' if code else ''}.")
        if chosen and not yes:
            typer.confirm(f"Shall all of them be {what}?", abort=True, err=True)
    return wiring, chosen


def _named(ledger: "Ledger", settings: "Settings", said: str) -> str:
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.ledger.recordings import RecordingRow

    found = find(ledger, settings.catalogue_file, said)
    return found.recording.key if isinstance(found, RecordingRow) else found.id


def _some(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]


def _at(seconds: float) -> str:
    import datetime as dt

    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(sep=" ", timespec="seconds")
