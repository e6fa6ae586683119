"""The drill: a home is lost, the backup is put back with the commands people type, and what was erased stays erased."""

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._daemon.types import DaemonHeartbeat

from diary_pipeline.cli.main import main
from diary_pipeline.ledger import erasures, tombstones
from diary_pipeline.ledger.tables import holders
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.house import House

NAMES = ("2026-03-02 river.wav", "2026-03-03 lake.wav")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A home with two published notes, and the commands that look after it."""
    with House(tmp_path / "home") as found:
        for name, value in found.settings.environment().items():
            monkeypatch.setenv(name, value)
        for number, name in enumerate(NAMES):
            found.drop(name, speech_like(2.0 + number, pitch_hz=150.0 + 30 * number))
        found.once()
        yield found


def say(*command: str) -> None:
    """Give a command that ends well."""
    with pytest.raises(SystemExit) as ended:
        main(list(command))
    assert ended.value.code == 0


def nobody_works(house: House) -> None:
    """Let everybody who worked here be gone for longer than a lease."""
    with house.ledger.writing() as tx:
        tx.execute(holders.delete())


@pytest.mark.slow
def test_a_lost_home_comes_back_without_what_was_erased_since(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    river, lake = sorted(house.keys())
    backup, elsewhere = tmp_path / "backup", tmp_path / "receipts elsewhere"
    say("backup", str(backup))
    assert "objects copied" in capsys.readouterr().err
    nobody_works(house)
    say("erase", "--recording", river, "--yes")
    shutil.copytree(house.settings.home / "receipts", elsewhere)
    house.ledger.close()
    shutil.rmtree(house.settings.home)
    say("restore", str(backup), "--receipts", str(elsewhere))
    told = capsys.readouterr().err
    assert "1 recordings or persons were erased after the backup was taken" in told
    assert house.sql("SELECT recording_key FROM notes") == [(lake,)]
    assert house.sql("SELECT DISTINCT recording_key FROM segments") == [(lake,)]
    left = [p for p in house.settings.home.rglob("*") if p.is_file() and river.encode() in p.read_bytes()]
    assert left == [], "no byte of its key is anywhere below the home"
    assert lake in (house.settings.note_dir / lake[:10]).iterdir().__next__().name
    say("show", lake)


@pytest.mark.slow
def test_a_diary_that_goes_back_in_time_forgets_no_erasure(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    river, lake = sorted(house.keys())
    say("backup", str(tmp_path / "backup"))
    pond = speech_like(5.0, pitch_hz=220.0)
    content = hashlib.sha256(house.drop("2026-03-04 pond.wav", pond).read_bytes()).hexdigest()
    house.once()
    (came_later,) = set(house.keys()) - {river, lake}
    nobody_works(house)
    say("erase", "--recording", came_later, "--yes")
    erasures.hide(house.ledger, house.wiring.seal, "recording", river)  # and nobody has removed its bytes
    house.ledger.close()
    say("restore", str(tmp_path / "backup"), "--replace")
    assert "1 recordings or persons were erased" in capsys.readouterr().err
    assert house.sql("SELECT recording_key FROM notes") == [(lake,)]
    left = [p for p in house.settings.home.rglob("*") if p.is_file() and river.encode() in p.read_bytes()]
    assert left == []
    with house.ledger.reading() as conn:
        assert erasures.unfinished(conn) == []
        assert tombstones.stands(conn, house.wiring.seal, "me", content)


def test_a_diary_that_is_there_is_not_replaced_unless_said(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say("backup", str(tmp_path / "backup"))
    nobody_works(house)
    with pytest.raises(SystemExit) as refused:
        main(["restore", str(tmp_path / "backup")])
    assert refused.value.code == 2
    assert "home_not_empty" in capsys.readouterr().err
    assert len(house.sql("SELECT * FROM notes")) == 2
    house.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "somebody", []))
    with pytest.raises(SystemExit) as in_use:
        main(["restore", str(tmp_path / "backup"), "--replace"])
    assert in_use.value.code == 1
    assert "diary_in_use" in capsys.readouterr().err
