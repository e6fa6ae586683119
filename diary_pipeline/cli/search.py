"""`diary search`: words, and what they mean, in what is published."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.days import day
from diary_pipeline.cli.embedding import spare_threads
from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import PIPE_WIDTH, Format, FormatOption, print_rows, say, short, shown
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from diary_pipeline.catalogue.search_hits import Hit
    from diary_pipeline.catalogue.search_meaning import Embedder
    from diary_pipeline.settings import Settings

COLUMNS = (
    "recording_key", "user_id", "day", "title", "kind", "snippet", "start_s", "end_s", "segment_id", "score", "found",
)  # fmt: skip


def search(
    words: Annotated[
        list[str],
        typer.Argument(help='Words that must all be there; "a phrase", begin*, -not, OR between two of them.'),
    ],
    user: Annotated[str | None, typer.Option("--user", help="Whose diary; without it, everybody's.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="First day, as YYYY-MM-DD.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day, as YYYY-MM-DD.")] = None,
    person: Annotated[str | None, typer.Option("--person", help="Only notes that name this person.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Only notes with this topic.")] = None,
    language: Annotated[str | None, typer.Option("--language", help="Spoken or written in, as en or de.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    meaning: Annotated[
        bool, typer.Option("--meaning", help="Also what means the same in other words (DIARY_EMBEDDER).")
    ] = False,
    form: FormatOption = Format.table,
) -> None:
    """Search notes and what was said, best first, with the second to listen to.

    Examples: `diary search river bread`; `diary search '"by the river" -dog' --since 2026-05-01`;
    `diary search lonely --meaning`; `diary search onions --person Gwen --format json`.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.catalogue.search import search as find
    from diary_pipeline.catalogue.search_ranking import Filters

    first, last = (known.isoformat() if (known := day(said)) else None for said in (since, until))
    filters = Filters(user, first, last, person, topic, language.lower() if language else None)
    embedder = _embedder(settings, user) if meaning else None
    typed = " ".join(words)
    found = find(settings.search_file, settings.catalogue_file, typed, filters, limit=limit, embedder=embedder)
    if form is Format.table:
        _print_table(found.hits)
        if found.hits:
            say("`diary show ID` prints one.")
    else:
        print_rows(COLUMNS, [_row(hit) for hit in found.hits], form)
    if not found.hits:
        say("Nothing that is published has all of these words." if typed.strip() else "No word was given.")
    if any(hit.is_near for hit in found.hits):
        say("Some have only another form of a word; they stand last.")
    if found.is_cut:
        say("So many recordings have these words that only the latest of them were ranked.")
    if found.is_behind:
        say("The search file is behind the catalogue; `diary publish` brings it up to date.")


def _embedder(settings: "Settings", user: str | None) -> "Embedder | None":
    spare_threads(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    embedder = wiring.embedder
    if embedder is None:
        raise UsageError(
            "embedder_unset", "--meaning needs DIARY_EMBEDDER: minilm, or openai-compatible (docs/search.md)."
        )
    if embedder.is_remote and wiring.is_private(user or settings.default_owner):
        say("This diary stays on this machine, so the question goes to no server: searched by words alone.")
        return None
    return embedder


def _row(hit: "Hit") -> tuple[object, ...]:
    from diary_pipeline.catalogue.search_hits import CLOSE, OPEN

    found = "meaning" if hit.is_by_meaning else "other_form" if hit.is_near else "words"
    plain = hit.snippet.replace(OPEN, "").replace(CLOSE, "")
    told = dataclasses.asdict(hit) | {"snippet": plain, "score": round(hit.score, 6), "found": found}
    return tuple(told[name] for name in COLUMNS)


def _print_table(hits: Sequence["Hit"]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from diary_pipeline.transcription.renderers.lines import clock

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("day", "title", "found", "at", "id"):
        table.add_column(column, overflow="fold", no_wrap=column in ("day", "at", "id"))
    for hit in hits:
        at = "" if hit.start_s is None else clock(hit.start_s)
        table.add_row(hit.day, Text(shown(hit.title)), _marked(hit.snippet), at, short(hit.recording_key))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)


def _marked(snippet: str) -> "Text":
    """Set what was found apart for a person; in a pipe it reads as it was said."""
    from rich.text import Text

    from diary_pipeline.catalogue.search_hits import CLOSE, OPEN

    text = Text()
    for part in snippet.split(OPEN):
        found, mark, rest = part.rpartition(CLOSE)
        text.append(shown(found), style="bold yellow").append(shown(rest) if mark else shown(part))
    return text
