"""Fixtures that several units share."""

from pathlib import Path

import pytest

from diary_pipeline_tests.commands import Ran, Run, ran


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `diary ...` in this process, on a home of its own."""
    monkeypatch.setenv("DIARY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIARY_LOG_LEVEL", raising=False)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Ran:
        return ran(capsys, arguments)

    return command
