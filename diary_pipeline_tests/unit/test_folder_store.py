"""What only the folder store can get wrong: litter, rights, speed of a rename."""

import os
import stat
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.storage import keys
from diary_pipeline.storage.folder import STAGING, FolderStore


def test_nothing_is_left_in_staging(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    store.put("a", b"1")
    store.put_folder("b", {"x": store.path("a")})
    store.delete("b")
    assert list((store.root / STAGING).iterdir()) == []


def test_sweep_takes_old_litter_and_leaves_work_in_progress(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"1")
    old, new = tmp_path / STAGING / "old", tmp_path / STAGING / "new"
    old.mkdir()
    (old / "file").write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (0, 0))
    assert store.sweep(older_than_s=3600) == 1
    assert not old.exists()
    assert new.exists()


def test_objects_and_their_folders_are_their_owners_alone_whatever_the_umask_says(tmp_path: Path) -> None:
    source = tmp_path / "source"
    before = os.umask(0)
    try:
        source.write_bytes(b"x")
        store = FolderStore(tmp_path / "home" / "objects")
        store.put("a/bytes", b"1")
        store.put_file("a/file", source)
        store.put_folder("b/folder", {"x": source})
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "home", *(tmp_path / "home").rglob("*"))
    }
    assert {modes.pop(f"home/objects/{name}") for name in ("a/bytes", "a/file", "b/folder/x")} == {0o600}
    assert set(modes.values()) == {0o700}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_named_with_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ServiceMissing, match=f"user id {os.getuid()}"):
            FolderStore(tmp_path).put("a", b"1")
    finally:
        tmp_path.chmod(0o700)


def test_two_owners_of_the_same_audio_have_two_objects() -> None:
    assert keys.audio_key("ann", "a" * 64) != keys.audio_key("bob", "a" * 64)


@pytest.mark.parametrize("digest", ["", "../" + "a" * 61, "A" * 64])
def test_an_audio_key_wants_a_digest(digest: str) -> None:
    with pytest.raises(UsageError):
        keys.audio_key("me", digest)
