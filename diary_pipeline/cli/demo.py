"""`diary demo`: the first five minutes, as the commands one would type, each shown before it runs.

Knows no way into the pipeline of its own: every step is a `diary` command. `make demo` lays out the folder.
"""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from diary_pipeline.cli.home import begin
from diary_pipeline.cli.output import say

WHERE_IT_WAS_SAID = """\
SELECT n.note_date, n.title, i.kind, i.text, i.start_s
FROM note_items i JOIN notes n USING (recording_key)
WHERE i.kind = 'action' ORDER BY n.note_date"""


def demo(
    folder: Annotated[Path, typer.Argument(help="Recordings to show it with.", show_default=False)],
) -> None:
    """Take a folder of recordings all the way to notes and SQL, showing each command."""
    settings = begin()
    _run("models", "get", settings.whisper_model)
    code = _run("ingest", str(folder), "--wait")
    if code not in (0, 1):  # 1: some were refused or failed, which the demo's own faulty files are meant to be
        raise typer.Exit(code)
    _run("notes")
    key = _one_note(settings.catalogue_file)
    _run("show", key)
    _run("sql", WHERE_IT_WAS_SAID)
    _run("quarantine")
    say(
        f"""
What stands in quarantine is meant to: one file of noise, one that is cut off. Another is silent,
which is no failure, and one is there twice. Notes lie as Markdown in {settings.note_dir}
and everything to query in one DuckDB file: {settings.catalogue_file}

  . .venv/bin/activate            so that `diary` is a command in this terminal
  diary ingest ~/Memos --wait     the same with your own recordings
  make dev                        Dagster on http://{settings.ui_host}:{settings.ui_port}; drop recordings into
                                  {settings.drop_dir}"""
    )


def _run(*arguments: str) -> int:
    from diary_pipeline.cli.main import app

    say(f"\n$ diary {shlex.join(arguments)}")
    return int(app(list(arguments), prog_name="diary", standalone_mode=False) or 0)


def _one_note(catalogue: Path) -> str:
    """Choose the note with most claims: it shows most."""
    from diary_pipeline.catalogue.query import query

    found = query(catalogue, "SELECT recording_key FROM note_items GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1")
    return str(found.rows[0][0])
