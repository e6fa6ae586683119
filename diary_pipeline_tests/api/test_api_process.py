"""`diary api` as a process of its own: its page runs as pasted, it ends as it is told to, it refuses what is unsafe."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import pytest

from diary_pipeline_tests.api.serving import Deployment
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.house.tree import ROOT
from diary_pipeline_tests.servers import missing_server

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SESSION = re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)
DONE = "-- done --"


@dataclass
class Serving:
    """A running `diary api` and what it said."""

    process: subprocess.Popen[str]
    urls: dict[str, str]
    said: list[str] = field(default_factory=list)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def environment(home: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DIARY_")}
    return {**ours, "DIARY_HOME": str(home), "DIARY_RATE_LIMITS": "none", "PYTHONPATH": str(ROOT)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "diary_pipeline.cli.main", "api", *arguments]


@contextmanager
def serving(home: Path, *arguments: str, **said: str) -> Iterator[Serving]:
    """Start it and wait until it listens."""
    process = subprocess.Popen(
        command(*arguments), env={**environment(home), **said}, stderr=subprocess.PIPE, text=True, cwd=home.parent
    )
    running = Serving(process, {})
    assert process.stderr is not None
    apps = 1 if {"--all", "--status", "--ingestion"} & set(arguments) else 2
    lines = iter(process.stderr)
    for line in lines:
        running.said.append(line)
        if url := re.search(r"(\w+): (http://\S+)", line):
            running.urls[url[1]] = url[2]
        if len(running.urls) == apps:
            break
    assert len(running.urls) == apps, running.said
    reading = threading.Thread(target=lambda: running.said.extend(lines))
    reading.start()
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        reading.join()
        process.stderr.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("process") / "home"


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[Serving]:
    with serving(home, "--all", "--port", "0") as running:
        yield running


def test_the_pages_session_runs_as_pasted(api: Serving, home: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing_server("curl is not installed")
    write_audio(tmp_path / "memo.wav", speech_like(2)).rename(tmp_path / "memo.m4a")
    deployment = Deployment(home)
    answers = []
    with subprocess.Popen(
        ["bash", "-eu", "-o", "pipefail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as shell:
        assert shell.stdin
        assert shell.stdout
        for block in SESSION:
            shell.stdin.write(block.replace("http://127.0.0.1:8000", api.urls["all"]) + f"\necho; echo '{DONE}'\n")
            shell.stdin.flush()
            told, done, _ = "".join(_until(shell.stdout)).partition(DONE)
            answers.append(told)
            assert done, f"a command failed after {answers}"
            deployment.work()  # what `diary dev` does in the other terminal
        shell.stdin.close()
    deployment.wiring.ledger.close()
    taken, looked_at, results, by_url, lists, gone, refused = answers
    assert '"status":"pending"' in taken
    assert '"status":"completed"' in looked_at
    assert '"segments":' in results
    assert '"markdown":' in results
    assert sorted(path.name for path in tmp_path.glob("memo.*")) == ["memo.m4a", "memo.md", "memo.srt"]
    assert '"accepted":1,"refused":1' in by_url
    assert '"status":"completed"' in lists
    assert '"status":"removed"' in gone
    assert '"error":"url_invalid"' in refused


def _until(lines: IO[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if line == f"{DONE}\n":
            return


def test_what_is_no_http_is_answered_and_let_go(api: Serving) -> None:
    for sent, status in ((b"GARBAGE\r\n\r\n", b"400"), (b"GET /health HTTP/1.1\r\nX: " + b"y" * 70_000, b"400")):
        with socket.create_connection(("127.0.0.1", httpx.URL(api.urls["all"]).port or 0), timeout=20) as connection:
            connection.sendall(sent)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert answer.split()[1] == status
        assert b'"error": "http_invalid"' in answer


@pytest.mark.slow
def test_one_connection_too_many_is_told_503(home: Path) -> None:
    with serving(home, "--status", "--port", "0", DIARY_API_CONNECTIONS="2") as running:
        url = running.urls["status"]
        with httpx.Client() as one, httpx.Client() as two, httpx.Client() as three:
            assert [client.get(f"{url}/health").status_code for client in (one, two)] == [200, 200]
            refused = three.get(f"{url}/health")
            assert (refused.status_code, refused.json()["error"]) == (503, "too_many_connections")
            assert int(refused.headers["retry-after"]) > 0


def test_both_apps_end_well_when_they_are_told_to(tmp_path: Path) -> None:
    free = [str(_free_port()) for _ in range(2)]
    ports = {"DIARY_INGESTION_PORT": free[0], "DIARY_STATUS_PORT": free[1]}
    with serving(tmp_path / "home", **ports) as running:
        assert httpx.get(f"{running.urls['ingestion']}/health").status_code == 200
        assert httpx.get(f"{running.urls['status']}/jobs").json()["jobs"] == []
        assert httpx.get(f"{running.urls['ingestion']}/jobs").status_code == 405, "lists are the status API's"
        assert httpx.get(f"{running.urls['ingestion']}/search").status_code == 404
        assert running.stop() == 0
    assert any("answered" in line and "request_id=" in line for line in running.said)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--all", "--host", "0.0.0.0"), "api_no_key"),  # noqa: S104 - what must be refused
        (("--all", "--status"), "api_which"),
        (("--port", "1"), "api_which"),
    ],
)
def test_what_is_unsafe_or_unclear_is_refused(home: Path, arguments: tuple[str, ...], code: str) -> None:
    done = subprocess.run(
        command(*arguments), env=environment(home), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert f"[{code}]" in done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_who_listens_to_a_job_does_not_hold_up_the_end_of_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--all", DIARY_API_STOP_S="600") as running:
        url = running.urls["all"]
        job = httpx.post(f"{url}/jobs", json={"audio_url": "https://media.example.com/a.m4a"}).json()["job_id"]
        with httpx.stream("GET", f"{url}/jobs/{job}/events", timeout=60) as listening:
            lines = listening.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: progress"
            assert running.stop() == 0
            assert not [line for line in lines if line.startswith("event:")]
    assert not [line for line in running.said if "Traceback" in line]
