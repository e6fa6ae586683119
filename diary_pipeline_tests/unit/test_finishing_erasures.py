"""What a pass over waiting erasures asks of Dagster, and what its receipts say that it could not reach."""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from diary_pipeline.catalogue.export import Selection
from diary_pipeline.catalogue.export_files import MANIFEST
from diary_pipeline.catalogue.log_object import STAGED, STAGED_S, sweep_staged
from diary_pipeline.core.errors import TransientError
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.upkeep.erase import Erase
from diary_pipeline.upkeep.exports import missing_exports, remember
from diary_pipeline.upkeep.partitions import Named
from diary_pipeline.upkeep.places import KnownExports, Log
from diary_pipeline.upkeep.receipts import is_genuine, what_remains
from diary_pipeline_tests.diaries import Diary

SEAL = Seal("of this test")


class CountingPartitions:
    """Dagster with one row for each recording; tells how often it was looked through."""

    def __init__(self) -> None:
        self.looks = 0
        self.forgotten: set[str] = set()

    def unfinished_runs(self, named: Named) -> int:
        """Nobody is at work."""
        return 0

    def count(self, named: Named) -> Mapping[str, int]:
        """Count one row each."""
        self.looks += 1
        left = len(named.subjects - self.forgotten)
        return {"events": left} if left else {}

    def forget(self, named: Named) -> None:
        """Forget."""
        self.forgotten |= named.subjects


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield Diary(ledger, FolderStore(tmp_path / "objects"))
    ledger.close()


@pytest.fixture
def erase(diary: Diary, tmp_path: Path) -> Callable[[CountingPartitions], Erase]:
    """Give what finishes erasures in the log and the exports."""
    return lambda partitions: Erase(
        diary.ledger,
        SEAL,
        partitions,
        (Log(diary.ledger, diary.store), KnownExports(tmp_path)),
        tmp_path / "receipts",
        lambda: what_remains(on_server=False, in_bucket=False, missing_exports=missing_exports(tmp_path)),
    )


def hide_all(diary: Diary, *names: str) -> None:
    """Hide recordings that nobody has heard yet, each by an erasure of its own."""
    for recording in diary.accept(*names):
        erasures.hide(diary.ledger, SEAL, "recording", recording.key)


def test_dagster_is_counted_once_for_all_that_waits_and_receipts_say_so(
    diary: Diary, erase: Callable[[CountingPartitions], Erase]
) -> None:
    hide_all(diary, "a.m4a", "b.m4a", "c.m4a")
    partitions = CountingPartitions()
    receipts = erase(partitions)().receipts
    assert partitions.looks == 2, "before and after"
    assert [r["counted_together"] for r in receipts] == [3, 3, 3]
    for receipt in receipts:
        removed = receipt["removed"]
        assert isinstance(removed, dict)
        assert removed["dagster"] == {"events": 3}
        assert removed["ledger"]["recordings"] == 1
        assert set(removed) == {"dagster", "exports", "ledger", "log"}
        assert is_genuine(SEAL, receipt)


def test_a_missing_export_is_counted_in_the_receipt(
    diary: Diary, erase: Callable[[CountingPartitions], Erase], tmp_path: Path
) -> None:
    remember(tmp_path, tmp_path / "unplugged" / "all.duckdb", "duckdb", Selection())
    hide_all(diary, "a.m4a")
    [receipt] = erase(CountingPartitions())().receipts
    assert "1 exports that are not where they were made" in json.dumps(receipt["remains"])
    assert receipt["counted_together"] == 1


def test_no_receipt_is_signed_while_an_export_that_is_there_cannot_be_written_anew(
    diary: Diary, erase: Callable[[CountingPartitions], Erase], tmp_path: Path
) -> None:
    damaged = tmp_path / "all"
    damaged.mkdir()
    (damaged / MANIFEST).write_text("{")
    remember(tmp_path, damaged, "csv", Selection())
    hide_all(diary, "a.m4a")
    partitions = CountingPartitions()
    with pytest.raises(TransientError, match="csv") as held:
        erase(partitions)()
    assert held.value.code == "erasure_incomplete"
    assert partitions.forgotten, "it keeps no other place back"
    assert not (tmp_path / "receipts").exists()


def test_what_killed_processes_staged_goes_and_what_is_being_staged_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, alive, fresh = (tmp_path / f"{STAGED}{name}" for name in ("killed", "alive", "fresh"))
    for folder in (killed, alive, fresh):
        folder.mkdir()
        (folder / "segments.parquet").write_text("a whole diary")
        if folder is not fresh:
            os.utime(folder, (time.time() - STAGED_S - 1,) * 2)
    lock = os.open(alive, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    sweep_staged()
    os.close(lock)
    assert {p.name for p in tmp_path.iterdir()} == {alive.name, fresh.name}
