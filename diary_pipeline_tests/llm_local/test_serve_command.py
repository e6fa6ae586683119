"""`diary llm serve` as a person runs it: the printed route works, and no server outlives its command."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.notes.local_model.server import key_in
from diary_pipeline.notes.local_model.weights import SMALLEST
from diary_pipeline.notes.providers.exchange import Prompt
from diary_pipeline.notes.providers.opening import open_provider
from diary_pipeline.notes.routing.route import Route
from diary_pipeline_tests.llm_local.conftest import weights

httpx2 = pytest.importorskip("httpx2", reason="the extra `llm` is not installed")
pytestmark = pytest.mark.llm_local

ANYTHING = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a shell starts it."""
    weights()
    command = [sys.executable, "-m", "diary_pipeline.cli.main", "llm", "serve", SMALLEST]
    options = ["--port", "0", "--context", "1024", "--threads", "1"]
    environment = {**os.environ, "DIARY_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def printed(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Read the block as far as its last line."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("concurrency"):
            break
    route: dict[str, Any] = tomllib.loads("".join(lines))["llm"]["routes"][0]
    return route


def ask(told: dict[str, Any], key: str) -> str:
    values = {name: value for name, value in told.items() if name != "api_key_env"}
    route = Route(**values, api_key=key)

    async def once() -> str:
        provider = open_provider(route)
        try:
            return (await provider(Prompt("Answer.", "Is it good?", ANYTHING, "ok-1", 40))).model
        finally:
            await provider.close()

    return asyncio.run(once())


def answers(url: str) -> bool:
    """Tell whether anybody answers now."""
    try:
        httpx2.get(f"{url}/models")
    except httpx2.TransportError:
        return False
    return True


def is_gone(url: str) -> bool:
    """Tell whether the answers end within some seconds."""
    until = time.monotonic() + 15
    while answers(url):
        if time.monotonic() > until:
            return False
    return True


def test_the_printed_route_is_answered_and_ctrl_c_is_a_good_end(command: subprocess.Popen[str], tmp_path: Path) -> None:
    told = printed(command)
    assert ask(told, key_in(tmp_path / "home" / "llm" / "key")) == SMALLEST
    os.killpg(command.pid, signal.SIGINT)
    assert command.wait(30) == 0
    assert is_gone(told["base_url"])


def test_a_killed_command_leaves_no_server_behind(command: subprocess.Popen[str]) -> None:
    told = printed(command)
    assert answers(told["base_url"])
    command.kill()
    assert is_gone(told["base_url"])
