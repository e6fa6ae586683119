"""The entry point of `diary`: its commands, and how errors become one sentence and an exit code.

0 all well; 1 some recordings were refused or failed; 2 wrong usage or configuration, or what was named does not exist;
3 a needed service or model is not there; 130 Ctrl-C. What surprises: importing this must stay light, so no module of
the CLI imports Dagster, DuckDB, SQLAlchemy or a model at load; `make lint` measures it.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from diary_pipeline.cli import (
    backup,
    demo,
    erase,
    evaluate,
    ingest,
    keys,
    llm,
    manage,
    models,
    plan,
    quarantine,
    read,
    reprocess,
    versions,
)
from diary_pipeline.cli.api import api
from diary_pipeline.cli.edit import edit
from diary_pipeline.cli.export import export
from diary_pipeline.cli.marts import marts
from diary_pipeline.cli.output import say
from diary_pipeline.cli.reconcile import reconcile
from diary_pipeline.cli.search import search
from diary_pipeline.cli.sql import sql
from diary_pipeline.cli.status import status
from diary_pipeline.cli.watch import watch
from diary_pipeline.core.errors import DiaryError, NotFound, ServiceMissing, UsageError
from diary_pipeline.settings import load_settings

app = typer.Typer(
    name="diary",
    help="Spoken diary recordings become dated, searchable notes.",
    epilog="Data goes to standard output, messages to standard error. `diary COMMAND --help` shows examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo.demo,
    ingest.ingest,
    watch,
    status,
    read.notes,
    read.show,
    edit,
    search,
    sql,
    export,
    plan.plan,
    reprocess.reprocess,
    versions.promote,
    versions.rollback,
    erase.erase,
    backup.backup,
    backup.restore,
    manage.publish,
    reconcile,
    marts,
    manage.doctor,
    manage.dev,
    api,
):
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(llm.app, name="llm")
app.add_typer(evaluate.app, name="eval")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(keys.app, name="keys")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    try:
        app(arguments, prog_name="diary")
    except DiaryError as error:
        if _is_debugging():
            raise
        say(f"diary: {error.message} [{error.code}]")
        sys.exit(exit_code(error))
    except BrokenPipeError:  # `diary notes | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_code(error: DiaryError) -> int:
    """Say with which code a command ends that met this error."""
    match error:
        case UsageError() | NotFound():
            return 2
        case ServiceMissing():
            return 3
        case _:
            return 1


def _is_debugging() -> bool:
    try:
        return load_settings().log_level == "debug"
    except UsageError:
        return False


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"diary {version('diary-pipeline')}")
        except PackageNotFoundError:  # run from a source tree that nobody installed
            print("diary (not installed)")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    return


if __name__ == "__main__":
    main()
