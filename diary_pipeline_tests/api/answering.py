"""The job API on a port of loopback, as a process of its own would serve it, for tests of one module."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import uvicorn
from fastapi import FastAPI

from diary_pipeline.api.app import all_in_one
from diary_pipeline.api.parts import Parts, parts_of
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring


@dataclass(frozen=True)
class Answering:
    """A running API and what it is made of."""

    parts: Parts
    app: FastAPI
    client: httpx.Client


@contextlib.contextmanager
def answering(home: str, **environment: str) -> Iterator[Answering]:
    """Serve both apps on one port; the ledger is opened in `home` unless the environment says otherwise."""
    parts = parts_of(Wiring(load_settings({"DIARY_HOME": home, **environment})))
    app = all_in_one(parts)
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=30) as client:
            yield Answering(parts, app, client)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
        parts.ledger.close()
