"""`diary marts` in a home of its own."""

import json
from pathlib import Path

import pytest

from diary_pipeline.catalogue.search_index import SearchIndex
from diary_pipeline.cli.main import main
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.publishing import rows as rows_of


@pytest.mark.slow
def test_one_command_builds_and_publishes_and_prints_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIARY_HOME", str(tmp_path / "it's a home"))
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    settings.home.mkdir()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    some = diary.accept("walk.m4a", "bread.m4a")
    diary.transcribe(some)
    diary.write(some)
    ledger.close()
    with pytest.raises(SystemExit) as ended:
        main(["marts", "--format", "json"])
    said = capsys.readouterr()
    assert ended.value.code in (0, None), said.err
    rows = {row["mart"]: row["rows"] for row in json.loads(said.out)}
    assert (len(rows), rows["daily_diary"], rows["marts_state"]) == (12, 1, 1)
    assert str(settings.marts_file.with_suffix(".html")) in said.err.replace("\n", "")
    assert rows_of(settings.catalogue_file, "SELECT count(*) FROM marts.daily_diary") == [(1,)]
    assert SearchIndex(settings.search_file).watermark() == 2
    left = {path.name for path in settings.home.iterdir() if "marts" in path.name}
    assert left == {"marts.duckdb", "marts.html", ".marts.duckdb.lock"}
