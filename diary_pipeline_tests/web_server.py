"""A web server on loopback that behaves as badly as a test wants; its answers are scripts of what goes over the wire.

No file of ours decides what it sends: it reads one request from a socket and writes the bytes of the script.
"""

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    """By name in lower case."""


Wire = Callable[[socket.socket, Asked], None]


@dataclass
class WebServer:
    """A running server: what it answers by path, and what it was asked."""

    port: int
    pages: dict[str, Wire] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends; an answer that takes for ever waits for it."""

    def url(self, path: str, host: str = "memos.test") -> str:
        """Name a page; the host is looked up by the test's own resolver."""
        return f"http://{host}:{self.port}{path}"


def head(status: int, **headers: object) -> bytes:
    """Write the head of an answer; headers as `content_length=5`."""
    lines = [f"HTTP/1.1 {status} As wanted", *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def says(*parts: bytes) -> Wire:
    """Send these bytes and hang up."""
    return lambda wire, _: wire.sendall(b"".join(parts))


def redirect(location: str, status: int = 302) -> Wire:
    """Lead on."""
    return says(head(status, location=location, content_length=0))


def whole(data: bytes, **headers: object) -> Wire:
    """Send a file in one piece."""
    return says(head(200, content_length=len(data), **headers), data)


def in_ranges(data: bytes, *, break_after: int = 0, etag: bool | str = True, **headers: object) -> Wire:
    """Send a file, or the rest of it that is asked for; hang up after so many bytes of each answer (0: never)."""
    tag = etag if isinstance(etag, str) else f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    said = {**({"etag": tag} if etag else {}), **headers}

    def serve(wire: socket.socket, asked: Asked) -> None:
        start = 0
        if asked.headers.get("range", "").startswith("bytes=") and asked.headers.get("if-range") in {tag, None}:
            start = int(asked.headers["range"][6:].rstrip("-"))
        rest = data[start:]
        span = {"content_range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        wire.sendall(head(206 if start else 200, content_length=len(rest), **said, **span))
        wire.sendall(rest[: break_after or len(rest)])

    return serve


@contextmanager
def web_server(certificates: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """Start a server on a free port; `certificates`: with encryption."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = WebServer(listening.getsockname()[1])
        accepting = threading.Thread(target=_accept, args=(listening, server, certificates), daemon=True)
        accepting.start()
        yield server
        server.stop.set()
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join(5)


def _accept(listening: socket.socket, server: WebServer, certificates: ssl.SSLContext | None) -> None:
    while True:
        try:
            wire, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(wire, server, certificates), daemon=True).start()


def _answer(wire: socket.socket, server: WebServer, certificates: ssl.SSLContext | None) -> None:
    with suppress(OSError), wire, certificates.wrap_socket(wire, server_side=True) if certificates else wire as plain:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (piece := plain.recv(65_536)):
                return
            request += piece
        first, *lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        asked = Asked(first.split(" ")[1], headers)
        server.asked.append(asked)
        page = server.pages.get(asked.path.partition("?")[0], says(head(404, content_length=0)))
        page(plain, asked)
        plain.shutdown(socket.SHUT_WR)
