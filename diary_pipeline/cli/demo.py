"""`diary demo`: the first five minutes, as the commands one would type, each shown before it runs.

Knows no way into the pipeline of its own: every step is a `diary` command. `make demo` lays out the folder. With
`--llm`, `make demo-llm`, a small real model writes the notes and is shown for what it is: each beside what was said.
"""

import contextlib
import shlex
from pathlib import Path
from typing import Annotated

import typer

from diary_pipeline.cli.home import begin
from diary_pipeline.cli.llm import answering
from diary_pipeline.cli.output import say

WHERE_IT_WAS_SAID = """\
SELECT n.note_date, n.title, i.kind, i.text, i.start_s
FROM note_items i JOIN notes n USING (recording_key)
WHERE i.kind = 'action' ORDER BY n.note_date"""

MOST_CLAIMS = "SELECT recording_key FROM note_items GROUP BY ALL ORDER BY count(*) DESC, 1"
"""Recordings, those whose notes show most first."""
HOW_ASKING_ENDED = """\
SELECT n.title, n.degraded, c.outcome, round(c.seconds) AS seconds, c.input_tokens, c.output_tokens
FROM notes n LEFT JOIN llm_calls c USING (recording_key) ORDER BY n.note_date, c."at\""""


def demo(
    folder: Annotated[Path, typer.Argument(help="Recordings to show it with.", show_default=False)],
    llm: Annotated[
        str, typer.Option("--llm", help="A model of `diary llm list` that is served meanwhile and writes the notes.")
    ] = "",
) -> None:
    """Take a folder of recordings all the way to notes and SQL, showing each command."""
    settings = begin()
    _run("models", "get", settings.whisper_model)
    if llm:
        _run("llm", "get", llm)
    with answering(llm, settings) if llm else contextlib.nullcontext():
        code = _run("ingest", str(folder), "--wait")
    if code not in (0, 1):  # 1: some were refused or failed, which the demo's own faulty files are meant to be
        raise typer.Exit(code)
    if llm:
        _show_answers(llm)
        return
    _run("notes")
    for key in _best_notes(settings.catalogue_file, 1):
        _run("show", key)
    _run("sql", WHERE_IT_WAS_SAID)
    _run("quarantine")
    say(
        f"""
What stands in quarantine is meant to: one file of noise, one that is cut off. Another is silent,
which is no failure, and one is there twice. Notes lie as Markdown in {settings.note_dir}
and everything to query in one DuckDB file: {settings.catalogue_file}

  . .venv/bin/activate            so that `diary` is a command in this terminal
  diary marts                     dbt's tables: the diary by day, week and person (half a minute)
  diary ingest ~/Memos --wait     the same with your own recordings
  make dev                        Dagster on http://{settings.ui_host}:{settings.ui_port}; drop recordings into
                                  {settings.drop_dir}"""
    )


def _show_answers(llm: str) -> None:
    """Show what a model was good for: how its answers ended, and some notes beside what was said."""
    from diary_pipeline.cli.thrown_out import thrown_out

    settings = begin()
    _run("sql", HOW_ASKING_ENDED)
    for key in _best_notes(settings.catalogue_file, 3):
        _run("show", key, "--transcript")
        _run("show", key)
        say(f"\n{thrown_out(settings, key)}")
    say(
        f"""
{llm} only pointed: these notes hold the speaker's words, found by it or by rules, and nothing that it wrote itself.

  {settings.config_file}   the configuration that named it
  {settings.home / "llm" / "server.log"}   what its server reported
  docs/local-model.md   other models, other servers, and what their answers were worth"""
    )


def _run(*arguments: str) -> int:
    from diary_pipeline.cli.main import app

    say(f"\n$ diary {shlex.join(arguments)}")
    return int(app(list(arguments), prog_name="diary", standalone_mode=False) or 0)


def _best_notes(catalogue: Path, most: int) -> list[str]:
    """Choose the notes with most claims: they show most."""
    from diary_pipeline.catalogue.query import query

    return [str(key) for (key,) in query(catalogue, f"{MOST_CLAIMS} LIMIT {most}").rows]
