"""`diary reconcile`: where the stores differ, mended where they can be."""

from typing import Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say

COLUMNS = ("difference", "subject", "state", "detail")


def reconcile(
    months: Annotated[
        int, typer.Option("--months", min=0, help="Look only at the last so many months; 0: at everything.")
    ] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Differences of each kind at most.")] = 1000,
    most_lost: Annotated[
        int, typer.Option("--most-lost", min=0, help="When more objects are missing at once, they are left alone.")
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be mended, and change nothing.")] = False,
    form: FormatOption = Format.table,
) -> None:
    """Compare objects, ledger, the published file and audio; mend what differs, beside everything that runs.

    orphan_object, replaced_object: bytes that nothing points to are removed, once they are too old to be of a running
    commit. missing_object: what was lost is made again, and what users see stays until then; when many are missing at
    once they are left alone. published_row: rows that follow no pointer are folded again with the next publish.
    orphan_audio and orphan_upload are removed; of missing_audio you are told.

    Examples: `diary reconcile --dry-run`; `diary reconcile --months 2 --format json`.

    Exit code 1: something is left for you to see to. 3: the store is away, or another diary's; nothing was touched.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.wiring.deployment import Wiring

    done = Wiring(settings).reconcile(months=months, limit=limit, dry_run=dry_run, most_lost=most_lost)
    print_rows(COLUMNS, [(f.difference, f.subject, f.state, f.detail) for f in done.findings], form)
    say(f"{len(done.findings)} differences, {len(done.left)} left to you, in {done.seconds:.1f} s")
    if done.left:
        raise typer.Exit(1)
