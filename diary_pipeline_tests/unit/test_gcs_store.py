"""What goes wrong with a bucket, and what local copies of its objects may never do."""

import os
import stat
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from diary_pipeline.core.errors import DiaryError, NotFound, ServiceMissing, TransientError
from diary_pipeline.storage.bucket import bucket_of
from diary_pipeline.storage.copies import IN_USE_S, KEPT_S, LocalCopies
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline_tests.gcs_server import Fault, GcsServer

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # see `gcs` in conftest.py

LARGE = 9 << 20  # more than the SDK sends in one piece


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "segments.parquet"
    made.write_bytes(b"one" * 1000)
    return made


def elsewhere(store: GcsStore, tmp_path: Path) -> GcsStore:
    """The same bucket, seen from another machine."""
    return GcsStore(store.bucket.url, tmp_path / "elsewhere", 100, patience_s=5)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("gs://diary", ("diary", "")),
        ("gs://diary/", ("diary", "")),
        ("gs://diary/a/b/", ("diary", "a/b/")),
        ("s3://diary", None),
        ("diary", None),
        ("gs://", None),
    ],
)
def test_a_bucket_is_said_as_a_gs_address(url: str, place: tuple[str, str] | None) -> None:
    if place:
        assert bucket_of(url) == place
    else:
        with pytest.raises(ValueError, match="gs://BUCKET"):
            bucket_of(url)


VERBS: dict[str, Callable[[GcsStore, Path], object]] = {
    "put": lambda store, _: store.put("a/new", b"x"),
    "put_file": lambda store, file: store.put_file("a/new", file),
    "put_folder": lambda store, file: store.put_folder("a/new", {"x": file}),
    "put_over": lambda store, _: store.put_over("a/new", b"x", 0),
    "get": lambda store, _: store.get("a/b"),
    "path": lambda store, _: store.path("a/b"),
    "exists": lambda store, _: store.exists("a/b"),
    "list": lambda store, _: list(store.list("a/")),
    "delete": lambda store, _: store.delete("a/b"),
}


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("verb", VERBS)
def test_what_fails_once_is_asked_again(
    gcs: GcsServer, gcs_store: GcsStore, file: Path, verb: str, status: int
) -> None:
    gcs_store.put("a/b", b"bytes")
    gcs.faults.append(Fault("a/new|a/b|upload|/o$", status=status))
    assert VERBS[verb](gcs_store, file) is not False
    assert gcs.faults[0].times == 0, "the fault was met"
    for key in {"put": ["a/b", "a/new"], "delete": []}.get(verb, ["a/b"]):
        assert gcs_store.exists(key)


@pytest.mark.parametrize("verb", VERBS)
def test_a_bucket_that_stays_away_is_a_missing_service(
    gcs: GcsServer, gcs_store: GcsStore, tmp_path: Path, file: Path, verb: str
) -> None:
    hasty = GcsStore(gcs_store.bucket.url, tmp_path / "copies", 100, patience_s=0.3)
    gcs.faults.append(Fault(".", times=1000))
    with pytest.raises(ServiceMissing) as away:
        VERBS[verb](hasty, file)
    assert away.value.code == "store_unreachable"


@pytest.mark.parametrize("verb", VERBS)
def test_a_bucket_that_does_not_exist_is_said_to_be_missing(
    gcs: GcsServer, tmp_path: Path, file: Path, verb: str
) -> None:
    with pytest.raises(ServiceMissing, match="no bucket nobodys") as none:
        VERBS[verb](GcsStore("gs://nobodys", tmp_path / "copies", 1, patience_s=5), file)
    assert none.value.code == "store_unreachable"


@pytest.mark.parametrize(("verb", "code"), [("put", "store_unwritable"), ("get", "store_unreachable")])
def test_what_the_credentials_may_not_do_is_said(
    gcs: GcsServer, gcs_store: GcsStore, file: Path, verb: str, code: str
) -> None:
    gcs.faults.append(Fault("/o", status=403))
    with pytest.raises(ServiceMissing, match="role") as refused:
        VERBS[verb](gcs_store, file)
    assert refused.value.code == code


def test_a_download_that_breaks_off_is_resumed_and_the_whole_is_verified(gcs: GcsServer, gcs_store: GcsStore) -> None:
    data = os.urandom(300_000)
    gcs_store.put("a/b", data)
    gcs.faults.append(Fault("GET /download", "cut"))
    assert gcs_store.get("a/b") == data
    # The SDK verifies no resumed download: the second half arrives damaged, twice.
    gcs.faults[:] = [Fault("GET /download", harm) for harm in ("cut", "damage", "cut", "damage")]
    with pytest.raises(TransientError) as damaged:
        gcs_store.get("a/b")
    assert damaged.value.code == "object_damaged"


@pytest.mark.parametrize(("times", "whole"), [(1, True), (2, False)])
@pytest.mark.parametrize("verb", ["get", "path"])
def test_damaged_bytes_are_fetched_again_once_and_never_handed_out(
    gcs: GcsServer, gcs_store: GcsStore, times: int, verb: str, whole: bool
) -> None:
    gcs_store.put("a/b", b"bytes")
    gcs.faults.append(Fault("GET /download", "damage", times=times))
    if whole:
        read = getattr(gcs_store, verb)("a/b")
        assert (read if verb == "get" else read.read_bytes()) == b"bytes"
    else:
        with pytest.raises(TransientError) as damaged:
            getattr(gcs_store, verb)("a/b")
        assert damaged.value.code == "object_damaged"
        assert list(gcs_store.copies.all()) == []


@pytest.mark.parametrize("size", [100, LARGE])
def test_bytes_damaged_on_the_way_in_are_not_stored(
    gcs: GcsServer, gcs_store: GcsStore, tmp_path: Path, size: int
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(size))
    gcs.faults.append(Fault("upload", "damage", times=3))
    with pytest.raises(TransientError) as damaged:
        gcs_store.put_file("a/b", source)
    assert damaged.value.code == "object_damaged"
    assert not gcs_store.exists("a/b")


@pytest.mark.parametrize("times", [0, 1])
def test_a_large_file_is_sent_in_pieces_and_a_failed_piece_again(
    gcs: GcsServer, gcs_store: GcsStore, tmp_path: Path, times: int
) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    source.write_bytes(os.urandom(1 << 20) * 9)
    gcs.faults.append(Fault("PUT .*upload", times=times))
    gcs_store.put_file("a/b", source)
    gcs_store.fetch("a/b", into)
    assert into.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(into.stat().st_mode) == 0o600


def test_a_folder_object_whose_answer_was_lost_is_not_taken_for_another_writers(
    gcs: GcsServer, gcs_store: GcsStore, file: Path
) -> None:
    gcs.faults.append(Fault("upload", "lost answer"))
    assert gcs_store.put_folder("catalogue/x", {"segments.parquet": file}) == 3000
    with pytest.raises(FileExistsError):
        gcs_store.put_folder("catalogue/x", {"segments.parquet": file})
    gcs.faults[:] = [Fault("upload", "lost answer")]
    assert gcs_store.put_over("pointer", b"1", 0)
    assert not gcs_store.put_over("pointer", b"2", 0)


def test_of_many_writers_of_one_folder_object_one_succeeds(gcs_store: GcsStore, file: Path) -> None:
    won: list[int] = []

    def write() -> None:
        try:
            won.append(gcs_store.put_folder("catalogue/x", {"segments.parquet": file}))
        except FileExistsError:
            won.append(0)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [0] * 5 + [3000]


def test_a_stale_generation_replaces_nothing(gcs_store: GcsStore) -> None:
    assert gcs_store.read("pointer") is None
    assert gcs_store.put_over("pointer", b"first", 0)
    first = gcs_store.read("pointer")
    assert first is not None
    assert gcs_store.put_over("pointer", b"second", first[1])
    assert not gcs_store.put_over("pointer", b"late", first[1])
    assert gcs_store.get("pointer") == b"second"


def test_a_folder_object_is_one_object_that_any_tool_can_open(
    gcs: GcsServer, gcs_store: GcsStore, tmp_path: Path, file: Path
) -> None:
    gcs_store.put_folder("catalogue/x", {"segments.parquet": file, "empty": Path("/dev/null")})
    [(name, kept)] = gcs.buckets[bucket_of(gcs_store.bucket.url)[0]].items()
    assert name == "some/prefix/catalogue/x/.pack"
    (tmp_path / "pack.zip").write_bytes(kept.data)
    with zipfile.ZipFile(tmp_path / "pack.zip") as opened:
        assert opened.read("segments.parquet") == file.read_bytes()
    assert list(gcs_store.list("catalogue/x/se")) == ["catalogue/x/segments.parquet"]
    assert list(gcs_store.list("catalogue/")) == ["catalogue/x/empty", "catalogue/x/segments.parquet"]


def test_a_list_of_many_pages_is_whole_and_ordered(gcs: GcsServer, gcs_store: GcsStore) -> None:
    names = [f"a/{n:04}" for n in range(1500)]
    bucket = gcs.buckets[bucket_of(gcs_store.bucket.url)[0]]
    gcs_store.put(names[0], b"")
    bucket.update({f"some/prefix/{name}": bucket["some/prefix/a/0000"] for name in names})
    assert list(gcs_store.list("a/")) == names


def test_a_fold_asks_little_of_a_folder_object(gcs: GcsServer, gcs_store: GcsStore, file: Path) -> None:
    gcs_store.put_folder("catalogue/x", {f"{n}.parquet": file for n in range(6)})
    gcs.asked.clear()
    for n in range(9):
        if gcs_store.exists(f"catalogue/x/{n}.parquet"):
            gcs_store.path(f"catalogue/x/{n}.parquet")
    assert len([asked for asked in gcs.asked if "/o/" in asked]) == 4, "three looks at the first key, one download"


def test_a_replaced_file_is_read_anew_also_when_another_machine_replaced_it(
    gcs_store: GcsStore, tmp_path: Path
) -> None:
    gcs_store.put("a/b", b"first")
    assert gcs_store.path("a/b").read_bytes() == b"first"
    elsewhere(gcs_store, tmp_path).put("a/b", b"second")
    assert gcs_store.path("a/b").read_bytes() == b"second"


def test_a_file_replaced_between_the_look_and_the_download_is_looked_for_again(
    gcs: GcsServer, gcs_store: GcsStore, tmp_path: Path
) -> None:
    gcs_store.put("a/b", b"first")
    there, asked = elsewhere(gcs_store, tmp_path), gcs.fault_for

    def replaced(request: str) -> Fault | None:
        if request.startswith("GET /download") and gcs.asked.count(request) == 0:
            gcs.asked.append(request)
            there.put("a/b", b"second")
        return asked(request)

    gcs.fault_for = replaced  # type: ignore[method-assign]
    try:
        assert gcs_store.path("a/b").read_bytes() == b"second"
    finally:
        del gcs.fault_for


def test_what_another_machine_erased_is_gone_here_when_asked_for_or_compared(
    gcs_store: GcsStore, tmp_path: Path, file: Path
) -> None:
    for key in ("audio/one", "audio/two", "audio/kept"):
        gcs_store.put_file(key, file)
        gcs_store.path(key)
    gcs_store.put_folder("catalogue/x", {"segments.parquet": file})
    copy = gcs_store.path("catalogue/x/segments.parquet")
    there = elsewhere(gcs_store, tmp_path)
    for key in ("audio/one", "audio/two", "catalogue/x"):
        there.delete(key)
    with pytest.raises(NotFound):
        gcs_store.path("audio/one")
    assert [c.name for c in gcs_store.copies.all() if c.name == "audio/one"] == []
    assert copy.exists(), "a folder object is trusted for a minute"
    assert gcs_store.forget_erased() == 2
    assert not copy.exists()
    assert [c.name for c in gcs_store.copies.all()] == ["audio/kept"]
    assert not gcs_store.exists("catalogue/x/segments.parquet")


def test_a_sweep_compares_copies_that_nobody_compared_for_an_hour(gcs_store: GcsStore, tmp_path: Path) -> None:
    for key in ("audio/old", "audio/young"):
        gcs_store.put(key, b"x")
        gcs_store.path(key)
        elsewhere(gcs_store, tmp_path).delete(key)
    aged(gcs_store.copies, "audio/old", 3700, "name")
    assert gcs_store.sweep(3600) == 1
    assert [c.name for c in gcs_store.copies.all()] == ["audio/young"]


def test_deleting_takes_the_copies_of_this_machine_along(gcs_store: GcsStore, file: Path) -> None:
    gcs_store.put_folder("catalogue/x", {"segments.parquet": file})
    copy = gcs_store.path("catalogue/x/segments.parquet")
    gcs_store.delete("catalogue/x")
    assert not copy.exists()
    assert [p for p in gcs_store.copies.folder.rglob("*") if p.is_file()] == []


def test_copies_are_their_owners_alone(gcs_store: GcsStore, file: Path) -> None:
    before = os.umask(0)
    try:
        gcs_store.put_folder("catalogue/x", {"segments.parquet": file})
        gcs_store.put("a", b"x")
        gcs_store.path("catalogue/x")
        gcs_store.path("a")
    finally:
        os.umask(before)
    for path in (gcs_store.copies.folder, *gcs_store.copies.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_copies_stay_within_their_bound_but_for_those_in_use(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path / "copies", 10_000)
    for n in range(8):
        assert copies.take_in(f"a/{n}", 1, written(b"x" * 2000))
    assert len(list(copies.all())) == 8, "all were handed out just now"
    for n in range(8):
        aged(copies, f"a/{n}", IN_USE_S + 100 - n)
    copies.take_in("a/new", 1, written(b"x" * 2000))
    left = {c.name for c in copies.all()}
    assert left == {"a/4", "a/5", "a/6", "a/7", "a/new"}, "the longest unused went first"


def test_a_copy_that_nobody_used_or_compared_for_a_day_goes(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path / "copies", 10_000_000)
    for name in ("unused", "compared", "used"):
        copies.take_in(name, 1, written(b"x"))
        aged(copies, name, KEPT_S + 100, "" if name == "compared" else "name")
        aged(copies, name, 0 if name == "used" else KEPT_S + 100)
    assert copies.sweep(3600) == 1
    assert sorted(c.name for c in copies.all()) == ["compared", "used"]


def test_half_a_copy_is_never_seen_and_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path / "copies", 10_000)

    def breaks(at: Path) -> bool:
        at.write_bytes(b"half")
        assert copies.find("a", 1) is None
        raise OSError(5, "the cable")

    with pytest.raises(OSError, match="cable"):
        copies.take_in("a", 1, breaks)
    assert (copies.find("a", 1), list(copies.all())) == (None, [])
    left = tmp_path / "copies" / ".staging" / "left"
    left.mkdir()
    os.utime(left, (0, 0))
    assert copies.sweep(3600) == 1
    assert not left.exists()


def test_many_that_take_in_the_same_copy_at_once_share_it(tmp_path: Path) -> None:
    there = threading.Barrier(4)
    found: list[Path | None] = []

    def fill(at: Path) -> bool:
        there.wait()
        at.write_bytes(b"same")
        return True

    def take_in() -> None:
        found.append(LocalCopies(tmp_path / "copies", 10_000).take_in("a", 1, fill))

    threads = [threading.Thread(target=take_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [path] = set(found)
    assert path is not None
    assert path.read_bytes() == b"same"
    assert [p.name for p in (tmp_path / "copies" / ".staging").iterdir()] == []


def test_a_disk_without_room_for_copies_is_a_missing_service(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file is in the way")
    with pytest.raises(ServiceMissing) as full:
        LocalCopies(tmp_path / "home" / "copies", 10).take_in("a", 1, written(b"x"))
    assert full.value.code == "store_unwritable"


@pytest.mark.parametrize("absent", ["google.cloud.storage", "google.auth.exceptions"])
def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delattr("google.cloud.storage", raising=False)
    with pytest.raises(DiaryError, match=r"diary-pipeline\[gcp\]"):
        GcsStore("gs://diary", tmp_path, 1).exists("a")


def written(data: bytes) -> Callable[[Path], bool]:
    """Give what fills a copy with these bytes."""
    return lambda at: bool(at.write_bytes(data))


def aged(copies: LocalCopies, name: str, seconds: float, part: str = "") -> None:
    """Make it so long ago that a copy was used, or (`part` "name") compared."""
    [copy] = [c for c in copies.all() if c.name == name]
    then = time.time() - seconds
    os.utime(copy.entry / part if part else copy.entry, (then, then))
