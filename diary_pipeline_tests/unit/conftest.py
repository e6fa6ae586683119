"""Fixtures that several units share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline_tests.commands import Ran, Run, ran
from diary_pipeline_tests.web_server import WebServer, web_server


@pytest.fixture(scope="session")
def running_web() -> Iterator[WebServer]:
    """A web server of this session's own."""
    with web_server() as server:
        yield server


@pytest.fixture
def web(running_web: WebServer) -> WebServer:
    """The server, with no page and asked nothing yet."""
    running_web.pages.clear()
    running_web.asked.clear()
    return running_web


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `diary ...` in this process, on a home of its own."""
    monkeypatch.setenv("DIARY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIARY_LOG_LEVEL", raising=False)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Ran:
        return ran(capsys, arguments)

    return command
