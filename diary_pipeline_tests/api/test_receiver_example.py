"""The receiver of docs/webhooks.md, run as it stands there, takes what we sign once and refuses what others sign."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from diary_pipeline.api.webhooks import signature
from diary_pipeline_tests.house.tree import ROOT

SECRET = "a secret of the tests"
BODY = '{"event":"job.completed","metadata":"ä"}'.encode()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Where the example listens, and its process."""
    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    script = tmp_path / "receiver.py"
    script.write_text(code, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port), "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_example_takes_each_delivery_once_and_only_what_is_signed_now(
    told: tuple[str, "subprocess.Popen[str]"],
) -> None:
    url, process = told
    now = int(time.time())
    both = signature(["another secret", SECRET], BODY, now)
    cases = [
        (both, BODY, 204),
        (both, BODY, 204),  # the same delivery again
        (signature(["another secret"], BODY, now), BODY, 401),
        (both, BODY + b" ", 401),
        (signature([SECRET], BODY, now - 3600), BODY, 401),
        ("", BODY, 401),
    ]
    transport = httpx.HTTPTransport(retries=5)  # it may still be starting
    with httpx.Client(transport=transport, timeout=30) as client:
        for said, body, status in cases:
            headers = {"X-Diary-Signature": said, "X-Diary-Delivery": "d1", "X-Diary-Event": "job.completed"}
            assert client.post(url, content=body, headers=headers).status_code == status
    process.kill()
    printed, _ = process.communicate()
    assert printed == f"job.completed {BODY.decode()}\n"
