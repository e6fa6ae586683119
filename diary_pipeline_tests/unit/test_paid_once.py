"""A process killed with its answer in hand costs no second call; one killed before the answer was kept costs one."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Counting(ThreadingHTTPServer):
    """A server that numbers its answers: the number tells which call an answer comes from."""

    daemon_threads = True
    calls = 0


class _Handler(BaseHTTPRequestHandler):
    server: Counting

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls += 1
        body = f"answer {self.server.calls}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Counting]:
    """A running server that was asked nothing."""
    with Counting(("127.0.0.1", 0), _Handler) as counting:
        thread = threading.Thread(target=counting.serve_forever, args=(0.01,))
        thread.start()
        yield counting
        counting.shutdown()
        thread.join()


def ask(server: Counting, store: Path, kill_after: str) -> list[str]:
    """Run an asker, kill it after a step ("": let it end), and return the steps it has told."""
    said = [str(server.server_port), str(store), kill_after]
    command = [sys.executable, "-m", "diary_pipeline_tests.asker", *said]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout is not None
        told = []
        for line in asker.stdout:
            told.append(line.strip())
            if told[-1] == kill_after:
                asker.kill()
        assert asker.wait() == (-9 if kill_after else 0)
    return told


def test_an_answer_that_was_kept_is_used_by_the_next_process_without_a_call(server: Counting, tmp_path: Path) -> None:
    assert ask(server, tmp_path, "kept") == ["asked", "kept"], "killed before it could use the answer"
    assert ask(server, tmp_path, "") == ["used answer 1"]
    assert ask(server, tmp_path, "") == ["used answer 1"]
    assert server.calls == 1


def test_an_answer_that_was_lost_with_its_process_is_asked_for_again(server: Counting, tmp_path: Path) -> None:
    assert ask(server, tmp_path, "asked") == ["asked"]
    assert ask(server, tmp_path, "") == ["asked", "kept", "used answer 2"]
    assert server.calls == 2
