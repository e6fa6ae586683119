"""A llama.cpp server on loopback, as a process that lives as long as its `LocalServer` does.

It speaks OpenAI's chat completions, so a route of provider `openai` reaches it. Weights are weights.py's business,
what runs inside the process serving.py's.

What surprises: it always wants a key. Any page in a browser and any user of this machine can reach a loopback port.
"""

import contextlib
import importlib.util
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.storage.private import write_private

LONGEST_LOAD_S = 300.0
"""Loading 1.1 GB took 4-16 s; a cold network disk takes longer."""
ANSWERS_WITHIN_S = 10.0
ASK_AGAIN_S = 0.2
GOES_WITHIN_S = 10.0


@dataclass(frozen=True)
class Plan:
    """What to serve, and how."""

    file: Path
    model: str
    """The name that requests and answers carry."""
    port: int = 0
    """0: any free one."""
    context_tokens: int = 8192
    """Of one request, prompt and answer together."""
    slots: int = 1
    """Requests answered at once; further ones wait inside the server, at the cost of their deadline."""
    threads: int = 2


@dataclass(frozen=True)
class LocalServer:
    """A server that answers."""

    url: str
    """As a route's `base_url` names it, ending in /v1."""
    api_key: str = field(repr=False)
    model: str
    context_tokens: int
    """As the server says, which may be less than was asked for."""
    slots: int
    process: subprocess.Popen[str]

    def wait(self) -> int:
        """Wait until the process ends by itself, and return its exit status."""
        return self.process.wait()


@contextlib.contextmanager
def serving(plan: Plan, api_key: str, log_file: Path) -> Iterator[LocalServer]:
    """Start a server, wait until it answers, and stop it in the end; ServiceMissing when it does not come up.

    `log_file` gets what llama.cpp reports: sizes and times, no text of any request.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ServiceMissing(
            "llm_server_missing",
            "The llama.cpp server is not installed: run `pip install 'diary-pipeline[local-llm]'`, or serve the model "
            "with Ollama or vLLM (docs/local-model.md).",
        )
    write_private(log_file, b"")
    # Without `passive`, waiting threads spin: beside other work, 1-2 tokens a second were measured instead of 8.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    with (
        log_file.open("a") as log,
        subprocess.Popen(
            [sys.executable, "-m", "diary_pipeline.notes.local_model.serving"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            yield _ready(process, plan, api_key, log_file)
        finally:
            _stop(process)


def key_in(file: Path) -> str:
    """Return the key kept in a private file; the first call makes one."""
    if not file.is_file():
        write_private(file, f"{secrets.token_urlsafe(32)}\n".encode())
    return file.read_text(encoding="utf-8").strip()


def _ready(process: subprocess.Popen[str], plan: Plan, api_key: str, log_file: Path) -> LocalServer:
    assert process.stdin and process.stdout  # noqa: S101 - both are pipes
    orders = {
        **{"file": str(plan.file), "model": plan.model, "port": plan.port, "api_key": api_key},
        **{"context_tokens": plan.context_tokens, "slots": plan.slots, "threads": plan.threads},
    }
    with contextlib.suppress(BrokenPipeError):  # it died at once; the missing address below says so
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
    address = _first_line(process)
    if not address or not _is_healthy(address):
        raise ServiceMissing(
            "llm_server_failed",
            f"The server for {plan.model} did not come up; what it said is in {log_file}. Is there enough memory, is "
            f"port {plan.port or 'that it chose'} free, and is {plan.file.name} whole (`diary llm get`)?",
        )
    context_tokens, slots = _limits(address, api_key)
    return LocalServer(f"{address}/v1", api_key, plan.model, context_tokens, slots, process)


def _first_line(process: subprocess.Popen[str]) -> str:
    # A thread, because reading a line from a pipe knows no time limit.
    said: queue.Queue[str] = queue.Queue()
    output = process.stdout
    assert output  # noqa: S101
    threading.Thread(target=lambda: said.put(output.readline()), daemon=True).start()
    try:
        return said.get(timeout=LONGEST_LOAD_S).strip()
    except queue.Empty:
        return ""


def _is_healthy(address: str) -> bool:
    until = time.monotonic() + ANSWERS_WITHIN_S
    while time.monotonic() < until:
        try:
            with _open(f"{address}/health"):
                return True
        except OSError:  # 503 while loading is an OSError too
            time.sleep(ASK_AGAIN_S)
    return False


def _limits(address: str, api_key: str) -> tuple[int, int]:
    with _open(f"{address}/props", api_key) as answer:
        props = json.load(answer)
    return int(props["default_generation_settings"]["n_ctx"]), int(props["total_slots"])


def _open(url: str, api_key: str = "") -> HTTPResponse:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback goes through no proxy
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    answer: HTTPResponse = direct.open(
        urllib.request.Request(url, headers=headers),  # noqa: S310 - an address on loopback
        timeout=ANSWERS_WITHIN_S,
    )
    return answer


def _stop(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(BrokenPipeError):
        assert process.stdin  # noqa: S101
        process.stdin.close()
    try:
        process.wait(GOES_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
