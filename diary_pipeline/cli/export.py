"""`diary export`: the diary, or one person's, as files that other programs read."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.days import day
from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import console, say
from diary_pipeline.core.errors import NotFound

if TYPE_CHECKING:
    from diary_pipeline.catalogue.export import Selection, WordFiles
    from diary_pipeline.settings import Settings
    from diary_pipeline.upkeep.exports import TableForm


class ExportForm(StrEnum):
    """What an export is."""

    duckdb = "duckdb"
    parquet = "parquet"
    csv = "csv"
    obsidian = "obsidian"


_FILES: Mapping[ExportForm, "TableForm"] = {
    ExportForm.duckdb: "duckdb",
    ExportForm.parquet: "parquet",
    ExportForm.csv: "csv",
}


def export(
    to: Annotated[Path, typer.Option("--to", help="File (duckdb) or folder to write.")],
    form: Annotated[ExportForm, typer.Option("--as", help="What is written.")] = ExportForm.duckdb,
    user: Annotated[str | None, typer.Option("--user", help="Whose diary; without it, everybody's.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="First day, as YYYY-MM-DD.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day, as YYYY-MM-DD.")] = None,
    words: Annotated[bool, typer.Option("--words/--no-words", help="Table `words`: each word with its time.")] = True,
    transcripts: Annotated[
        bool, typer.Option("--transcripts/--no-transcripts", help="Of a vault: pages of what was said.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Write even where something else lies.")] = False,
) -> None:
    """Export what is published: one DuckDB file, a folder of Parquet or CSV, or linked Markdown for Obsidian.

    A file or folder appears whole or not at all, and replaces an earlier export. A vault is brought up to date: what
    you wrote on its pages stays, and a page whose marked block you edited is not touched (`diary status` names it).

    Examples: `diary export --to me.duckdb --user me`; `diary export --as obsidian --to ~/Diary --user me`;
    `diary export --as csv --to may --since 2026-05-01 --until 2026-05-31`.
    """
    from diary_pipeline.catalogue.export import Selection

    settings = begin()
    existing_home(settings)
    chosen = Selection(user, day(since), day(until))
    place = to.expanduser().absolute()
    _demand_user(settings, user)
    if form is ExportForm.obsidian:
        _vault(settings, place, chosen, transcripts=transcripts, force=force)
        return
    from diary_pipeline.upkeep.exports import export_tables

    written: dict[str, int] = {}

    def told(table: str, rows: int) -> None:
        written[table] = rows
        say(f"{table}: {rows} rows")

    export_tables(
        settings.home,
        settings.catalogue_file,
        place,
        _FILES[form],
        chosen,
        words=_word_files(settings) if words else None,
        force=force,
        on_table=told,
    )
    say(f"{place}: {written.get('notes', 0)} notes of {written.get('recordings', 0)} recordings")
    _hint(chosen, written.get("recordings", 0))


def edited_pages(home: Path) -> Iterator[str]:
    """Name the pages of vaults that were edited by hand, each with what to do."""
    from diary_pipeline.upkeep.exports import REGISTRY

    if not (home / REGISTRY).exists():
        return
    from diary_pipeline.upkeep.exports import conflicts

    for page, newer in conflicts(home):
        what = (
            f"the newer text lies in {newer.name}; delete one of them" if newer else "its recording is gone; delete it"
        )
        yield f"{page} was edited by hand: {what}."


def _vault(settings: "Settings", place: Path, chosen: "Selection", *, transcripts: bool, force: bool) -> None:
    from rich.progress import Progress

    from diary_pipeline.upkeep.exports import export_vault

    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task("notes", total=None)
        on_note: Callable[[int, int], None] = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        done = export_vault(
            settings.home,
            settings.catalogue_file,
            place,
            chosen,
            transcripts=transcripts,
            force=force,
            on_note=on_note,
        )
    say(f"{place}: {done.notes} notes new or changed, {done.written} pages written, {done.removed} removed")
    if done.conflicts:
        say(f"{done.conflicts} pages were edited by hand and are left as they are; `diary status` names them.")


def _demand_user(settings: "Settings", user: str | None) -> None:
    """Refuse a misspelt name: it would empty the export that is there."""
    from diary_pipeline.catalogue.query import query

    if user is None or not settings.catalogue_file.exists():
        return
    if not query(settings.catalogue_file, "SELECT 1 FROM recordings WHERE user_id = ? LIMIT 1", (user,)).rows:
        raise NotFound("user_missing", f"Nothing of {user} is published; `diary sql` shows which users there are.")


def _hint(chosen: "Selection", recordings: int) -> None:
    if not recordings and chosen.user is not None:
        say(f"Nothing of {chosen.user} is published in these days; `diary sql` shows which users there are.")


def _word_files(settings: "Settings") -> "WordFiles":
    from diary_pipeline.catalogue.read import segment_files
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    return partial(segment_files, wiring.ledger, wiring.store)
