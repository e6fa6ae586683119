"""`diary quarantine`: what was refused or failed, and why. Reads the ledger, so it is ahead of the catalogue."""

from typing import Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say, short

COLUMNS = ("file_name", "stage", "code", "message", "at", "id")
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many at most, the newest first.")]

app = typer.Typer(help="What was refused or failed, and why.", invoke_without_command=True)


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
    from diary_pipeline.ledger.connect import open_ledger

    page = look(open_ledger(settings.ledger_url), limit=limit)
    print_rows(
        COLUMNS,
        [(q.file_name, q.stage, q.code, q.message, q.at, short(q.key) if q.key else q.id[:12]) for q in page.rows],
        form,
    )
    if page.next:
        say(f"There are more than these {limit}; ask with a higher --limit.")
