"""`diary erase` as a person says it: shown first, asked, hidden, finished in this process, and told by its receipt."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from diary_pipeline.cli.main import app
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline_tests.defs.erasing import GONE, GONE_NAME, fill, forget_sources, told_in
from diary_pipeline_tests.defs.house import House

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose settings are those of this process."""
    with House(tmp_path / "home") as found:
        for name, value in found.settings.environment().items():
            monkeypatch.setenv(name, value)
        yield found


def erase(*words: str, typed: str = "") -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["erase", *words], input=typed)


def test_a_recording_is_shown_asked_about_erased_and_receipted(house: House) -> None:
    gone, stays = fill(house)
    shown = erase("--recording", gone, "--dry-run", "--format", "json")
    counts = {(row["store"], row["what"]): row["count"] for row in json.loads(shown.stdout)}
    assert counts["store", "audio"] == counts["files", "notes"] == counts["dagster", "partitions"] == 1
    assert erase("--recording", gone, typed="n\n").exit_code == 1
    assert house.sql("SELECT count(*) FROM notes") == [(2,)]

    kept = house.settings.drop_dir / GONE_NAME
    aside = kept.rename(house.settings.home.parent / "memo.wav")
    forget_sources(house)
    done = erase("--recording", gone, "--yes", "--format", "json")
    assert (done.exit_code, done.exception) == (0, None)
    receipt = json.loads(done.stdout)
    assert told_in(house.settings.home, GONE) == {}
    assert house.sql("SELECT recording_key FROM notes") == [(stays,)]
    assert house.keys() == [stays]

    file = house.settings.home / "receipts" / f"{receipt['erasure_id']}.json"
    assert json.loads(file.read_text()) == receipt
    assert json.loads(erase("--receipts", "--format", "json").stdout) == [receipt]
    assert erase("--verify", str(file)).exit_code == 0
    file.write_text(json.dumps({**receipt, "scope": "user"}))
    assert erase("--verify", str(file)).exit_code == 1

    assert "may come in again" in erase("--allow", str(aside)).stderr
    assert "never had this audio erased" in erase("--allow", str(aside)).stderr
    [id] = house.wiring.intake.submit([aside], "me", "cli", {})
    assert house.wiring.intake.work(60, 1, ids=[id]).accepted == 1


def test_what_is_not_there_cannot_be_erased_and_the_word_must_be_clear(house: House) -> None:
    house.drop(GONE_NAME)
    house.once()
    assert isinstance(erase("--recording", "2020-01-01-nothing", "--yes").exception, NotFound)
    assert isinstance(erase("--user", "nobody", "--yes").exception, NotFound)
    assert isinstance(erase("--yes").exception, UsageError)
    assert isinstance(erase("--user", "me", "--recording", "walk").exception, UsageError)
