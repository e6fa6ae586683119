"""What every object store promises. Another implementation joins by one more parameter of `store` (conftest.py)."""

from pathlib import Path

import pytest

from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.storage import keys
from diary_pipeline.storage.store import ObjectStore


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {"segments.parquet": tmp_path / "one", "recordings.parquet": tmp_path / "two"}
    for path in made.values():
        path.write_bytes(path.name.encode())
    return made


def test_what_was_put_is_got(store: ObjectStore) -> None:
    store.put("a/b", b"bytes")
    assert store.get("a/b") == b"bytes"
    assert store.path("a/b").read_bytes() == b"bytes"
    assert store.exists("a/b")


def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    store.put("a/b", b"first, and longer")
    store.put("a/b", b"second")
    assert store.get("a/b") == b"second"


def test_put_file_copies_and_leaves_the_original(store: ObjectStore, files: dict[str, Path]) -> None:
    original = files["segments.parquet"]
    store.put_file("a/copy", original)
    original.write_bytes(b"changed later")
    assert store.get("a/copy") == b"one"


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert store.exists("empty")
    assert store.get("empty") == b""


def test_a_folder_object_appears_whole_and_tells_its_bytes(store: ObjectStore, files: dict[str, Path]) -> None:
    assert store.put_folder("catalogue/x", files) == 6
    assert store.exists("catalogue/x")
    assert store.get("catalogue/x/segments.parquet") == b"one"
    assert sorted(p.name for p in store.path("catalogue/x").iterdir()) == sorted(files)


def test_a_folder_object_never_changes(store: ObjectStore, files: dict[str, Path]) -> None:
    store.put_folder("catalogue/x", files)
    with pytest.raises(FileExistsError):
        store.put_folder("catalogue/x", {"other": files["segments.parquet"]})
    assert list(store.list("catalogue/")) == ["catalogue/x/recordings.parquet", "catalogue/x/segments.parquet"]


def test_a_folder_object_whose_file_is_missing_leaves_nothing(store: ObjectStore, files: dict[str, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_folder("catalogue/x", {**files, "gone": Path("/nowhere/gone")})
    assert not store.exists("catalogue/x")
    assert list(store.list("")) == []


@pytest.mark.parametrize("read", ["get", "path"])
@pytest.mark.parametrize("key", ["absent", "a/b/c", "a/b/c/d"])
def test_a_missing_object_is_named(store: ObjectStore, read: str, key: str) -> None:
    store.put("a/b/other", b"")
    with pytest.raises(NotFound, match=key) as caught:
        getattr(store, read)(key)
    assert caught.value.code == "object_missing"
    assert not store.exists(key)


def test_delete_removes_files_and_folders_and_forgives_absence(store: ObjectStore, files: dict[str, Path]) -> None:
    store.put("a/b", b"1")
    store.put_folder("catalogue/x", files)
    for key in ("a/b", "catalogue/x", "never/there"):
        store.delete(key)
        store.delete(key)
        assert not store.exists(key)
    assert list(store.list("")) == []


def test_a_deleted_key_can_be_put_again(store: ObjectStore, files: dict[str, Path]) -> None:
    store.put_folder("catalogue/x", files)
    store.delete("catalogue/x")
    assert store.put_folder("catalogue/x", files) == 6


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a-b/1", "a/1", "a/2/3", "ab"]),
        ("a", ["a-b/1", "a/1", "a/2/3", "ab"]),
        ("a/", ["a/1", "a/2/3"]),
        ("a/2", ["a/2/3"]),
        ("a/2/", ["a/2/3"]),
        ("b", []),
        ("b/c/d", []),
        ("ab/", []),
    ],
)
def test_list_yields_files_by_prefix_in_order(store: ObjectStore, prefix: str, expected: list[str]) -> None:
    for key in ("ab", "a/1", "a/2/3", "a-b/1"):
        store.put(key, b"")
    assert list(store.list(prefix)) == expected


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../out", "a/../b", "a//b", "a/", ".staging/x", "a/.b", "a b", "a\0b", "a\n"]
)
def test_a_key_that_could_leave_the_store_is_refused(store: ObjectStore, files: dict[str, Path], key: str) -> None:
    for act in (
        lambda: store.put(key, b""),
        lambda: store.put_file(key, files["segments.parquet"]),
        lambda: store.put_folder(key, files),
        lambda: store.put_folder("fine", {key: files["segments.parquet"]}),
        lambda: store.get(key),
        lambda: store.path(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(UsageError):
            act()
    assert list(store.list("")) == []


def test_the_keys_we_make_are_keys(store: ObjectStore) -> None:
    made = [keys.audio_key("me@example.org", "0" * 64), keys.catalogue_object_id("transcript")]
    for key in made:
        store.put(key, b"x")
    assert sorted(store.list("")) == sorted(made)
    assert list(store.list(keys.audio_prefix("me@example.org"))) == made[:1]
    assert "example" not in made[0]


def test_two_catalogue_objects_never_share_a_name() -> None:
    assert keys.catalogue_object_id("note") != keys.catalogue_object_id("note")
