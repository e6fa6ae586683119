"""A receiver of webhooks on loopback, with scripted answers: what applications run."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call that came."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """What it says."""
        return json.loads(self.raw)

    @property
    def delivery(self) -> str:
        """Its id."""
        return self.headers["X-Diary-Delivery"]


@dataclass
class Receiver:
    """Notes what comes and answers what it is told to, 200 when that is used up."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answers: deque[tuple[int, Mapping[str, str]]] = field(default_factory=deque)
    held: threading.Event = field(default_factory=threading.Event)
    """Cleared: calls to /slow are not answered."""
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/told"

    @property
    def slow_url(self) -> str:
        """The same under another name, which is another host for whoever counts calls by host."""
        return f"http://localhost:{self.port}/slow"

    def wait_for(self, path: str, seconds: float = 60.0) -> bool:
        """Wait until somebody has called a path."""
        deadline = time.monotonic() + seconds
        while path not in {call.path for call in self.calls} and time.monotonic() < deadline:
            self.came.wait(1.0)
            self.came.clear()
        return path in {call.path for call in self.calls}

    @property
    def hosts(self) -> tuple[str, str]:
        """Both names."""
        return f"127.0.0.1:{self.port}", f"localhost:{self.port}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Start a receiver."""
    receiver = Receiver()
    receiver.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.calls.append(Call(self.path, dict(self.headers), raw))
            receiver.came.set()
            if self.path == "/slow":
                receiver.held.wait(30)
            status, headers = receiver.answers.popleft() if receiver.answers else (200, {})
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                return  # the sender is gone

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
