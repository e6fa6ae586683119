"""Local copies of objects: whole, private, bounded, and shared by those who want the same one."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.storage.copies import IN_USE_S, KEPT_S, LocalCopies


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


def written(data: bytes) -> Callable[[Path], bool]:
    """Give what fills a copy with these bytes."""
    return lambda at: bool(at.write_bytes(data))


def aged(copies: LocalCopies, name: str, seconds: float, part: str = "") -> None:
    """Make it so long ago that a copy was used, or (`part` "name") compared."""
    [copy] = [c for c in copies.all() if c.name == name]
    then = time.time() - seconds
    os.utime(copy.entry / part if part else copy.entry, (then, then))
