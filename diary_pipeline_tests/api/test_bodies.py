"""Bodies that are too large, too slow, of the wrong kind, or broken off: raw sockets against a real server."""

import asyncio
import json
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diary_pipeline.api.body_rules import rules_of
from diary_pipeline.api.guards import GRACE_S, Bodies, Pace
from diary_pipeline.api.headers import SecurityHeaders
from diary_pipeline.api.problems import install
from diary_pipeline_tests.api.serving import served

JSON_BYTES = 10_000
FILE_BYTES = 100_000
IDLE_S = 0.3
PATIENCE_S = 20


class Door:
    """A small app behind the guard, on a real server, and what came through to its routes."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.ended = threading.Semaphore(0)
        middleware = [
            Middleware(SecurityHeaders),
            Middleware(Bodies, rules=rules_of(JSON_BYTES, FILE_BYTES), pace=Pace(IDLE_S, 0)),
        ]
        self.app = FastAPI(middleware=middleware)
        install(self.app, self.app.routes)
        self.app.put("/jobs/upload")(self.upload)
        self.app.post("/jobs")(self.form)
        self.app.post("/jobs/batch")(self.batch)
        self.port = 0

    async def upload(self, request: Request) -> dict[str, int]:
        """Read a body bit by bit."""
        self.read.append(0)
        try:
            async for piece in request.stream():
                self.read[-1] += len(piece)
        finally:
            self.ended.release()
        return {"bytes": self.read[-1]}

    async def form(self, request: Request) -> dict[str, int]:
        """Let the framework read a form."""
        async with request.form() as form:
            return {"fields": len(form)}

    async def batch(self, said: dict[str, object]) -> dict[str, int]:
        """Let the framework read JSON."""
        return {"fields": len(said)}

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)


@pytest.fixture(scope="module")
def serving() -> Iterator[Door]:
    door = Door()
    with served(door.app) as address:
        door.port = int(address.rpartition(":")[2])
        yield door


@pytest.fixture
def door(serving: Door) -> Door:
    serving.read.clear()
    serving.ended = threading.Semaphore(0)
    return serving


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def answered(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Read one answer."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lengths = [line for line in iter(stream.readline, b"\r\n") if line.lower().startswith(b"content-length")]
        return status, json.loads(stream.read(int(lengths[0].split()[1])))


OCTETS = "Content-Type: application/octet-stream"
AS_JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        (head("PUT", "/jobs/upload", OCTETS, f"Content-Length: {FILE_BYTES + 1}"), 413, "audio_too_large"),
        (head("POST", "/jobs/batch", AS_JSON, f"Content-Length: {JSON_BYTES + 1}"), 413, "body_too_large"),
        (head("POST", "/jobs/batch", AS_JSON, "Transfer-Encoding: chunked"), 411, "length_required"),
        (head("PUT", "/jobs/upload", "Transfer-Encoding: chunked", "Content-Length: 5"), 400, "length_invalid"),
        (head("PUT", "/jobs/upload", "Content-Encoding: gzip", "Content-Length: 5"), 415, "media_type_unsupported"),
        (head("POST", "/jobs/batch", "Content-Length: 2"), 415, "media_type_unsupported"),
        (head("POST", "/jobs/batch", "Content-Type: text/plain", "Content-Length: 2"), 415, "media_type_unsupported"),
        (head("POST", "/jobs", OCTETS, "Content-Length: 2"), 415, "media_type_unsupported"),
        (head("DELETE", "/jobs/batch", OCTETS, "Content-Length: 2"), 415, "media_type_unsupported"),
        (head("POST", "/job", "Content-Type: multipart/form-data", "Content-Length: 2"), 404, "route_unknown"),
    ],
)
def test_a_body_that_says_it_cannot_be_is_refused_before_it_comes(
    door: Door, request_head: bytes, status: int, code: str
) -> None:
    with door.connect() as connection:
        connection.sendall(request_head)
        got, problem = answered(connection)
    assert (got, problem["error"]) == (status, code)
    assert door.read == []


def test_who_waits_for_leave_to_send_is_told_no_at_once(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(head("PUT", "/jobs/upload", OCTETS, "Content-Length: 999999999", "Expect: 100-continue"))
        status, problem = answered(connection)
    assert (status, problem["error"]) == (413, "audio_too_large")


def test_a_body_without_a_length_is_counted_while_it_comes(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(head("PUT", "/jobs/upload", OCTETS, "Transfer-Encoding: chunked"))
        piece = b"2710\r\n" + b"\0" * 10_000 + b"\r\n"
        connection.sendall(piece * 11)
        status, problem = answered(connection)
    assert (status, problem["error"]) == (413, "audio_too_large")
    assert door.read[0] <= FILE_BYTES


def test_an_ordinary_client_gets_the_answer_although_it_is_still_sending(door: Door) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(300):
            yield b"\0" * 100_000

    with httpx.Client(base_url=f"http://127.0.0.1:{door.port}", timeout=PATIENCE_S) as client:
        chunked = client.put("/jobs/upload", content=endless())
        declared = client.put("/jobs/upload", content=b"\0" * 30_000_000)
    assert [chunked.status_code, declared.status_code] == [413, 413]
    assert declared.json()["error"] == "audio_too_large"


def test_a_refused_sender_is_not_cut_off_while_the_answer_is_on_its_way(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(head("PUT", "/jobs/upload", OCTETS, f"Content-Length: {FILE_BYTES + 1}"))
        assert answered(connection)[0] == 413
        for size in [FILE_BYTES // 10] * 10 + [1]:  # in pieces: the second one to a closed connection breaks
            connection.sendall(b"\0" * size)
        assert connection.recv(1) == b"", "ended in order, not reset"


def test_bodies_within_the_limits_come_through_whole(door: Door) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{door.port}", timeout=PATIENCE_S) as client:
        assert client.put("/jobs/upload", content=b"\0" * FILE_BYTES).json() == {"bytes": FILE_BYTES}
        assert client.put("/jobs/upload", content=iter([b"a", b"bc"])).json() == {"bytes": 3}
        assert client.put("/jobs/upload", json={"odd": "type"}).status_code == 200
        assert client.post("/jobs", files={"file": ("a.wav", b"\0" * FILE_BYTES)}).json() == {"fields": 1}
        assert client.post("/jobs/batch", json={"a": 1}).json() == {"fields": 1}
        assert client.post("/jobs/batch", content=b"").status_code == 422


def test_a_body_that_stops_coming_is_let_go(door: Door) -> None:
    for method, path, kind in (("PUT", "/jobs/upload", OCTETS), ("POST", "/jobs/batch", AS_JSON)):
        with door.connect() as connection:
            connection.sendall(head(method, path, kind, "Content-Length: 1000") + b"{")
            status, problem = answered(connection)
        assert (status, problem["error"]) == (408, "body_too_slow"), path


def test_a_body_shorter_than_it_says_is_let_go(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(head("PUT", "/jobs/upload", OCTETS, "Content-Length: 5000") + b"\0" * 4000)
        status, _ = answered(connection)
    assert status == 408
    assert door.read == [4000]


def test_a_body_longer_than_it_says_is_cut_where_it_ends(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(
            head("PUT", "/jobs/upload", OCTETS, "Content-Length: 10") + b"x" * 10 + b"more than said\r\n\r\n"
        )
        whole = b""
        while piece := connection.recv(65_536):
            whole += piece
    first, second = whole.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200")
    assert first.endswith(b'{"bytes":10}')
    assert second.startswith(b"400"), "what follows is no request"


def test_a_client_that_goes_in_the_middle_costs_nobody_else_anything(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        connection = door.connect()
        connection.sendall(head("PUT", "/jobs/upload", OCTETS, "Content-Length: 5000") + b"\0" * 10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, as a lost phone does
        connection.close()
        assert door.ended.acquire(timeout=PATIENCE_S)
    assert httpx.put(f"http://127.0.0.1:{door.port}/jobs/upload", content=b"abc").json() == {"bytes": 3}
    assert not caplog.records, "and is nobody's failure"


def test_the_memory_stays_flat_however_much_is_sent(door: Door) -> None:
    def flood() -> None:
        with door.connect() as connection:
            connection.sendall(head("PUT", "/jobs/upload", OCTETS, "Transfer-Encoding: chunked"))
            piece = b"186a0\r\n" + b"\0" * 100_000 + b"\r\n"
            try:
                for _ in range(300):
                    connection.sendall(piece)
            except OSError:
                return  # the server has had enough

    flood()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    floods = [threading.Thread(target=flood) for _ in range(4)]
    for thread in floods:
        thread.start()
    for thread in floods:
        thread.join(PATIENCE_S)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 20_000, "of 120 MB"


@dataclass
class ByHand:
    """The guard around an app, without a server: what comes in is said, what goes out is kept."""

    pace: Pace
    clock: list[float] = field(default_factory=lambda: [0.0])
    sent: list[Message] = field(default_factory=list)

    def run(self, app: ASGIApp, receive: Receive, *headers: tuple[bytes, bytes]) -> None:
        """Serve one upload."""

        async def send(message: Message) -> None:
            self.sent.append(message)

        guard = Bodies(app, rules_of(JSON_BYTES, FILE_BYTES), self.pace, clock=lambda: self.clock[0])
        scope = {"type": "http", "method": "PUT", "path": "/jobs/upload", "headers": headers, "query_string": b""}
        asyncio.run(guard(scope, receive, send))  # type: ignore[arg-type]


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that reads until the connection ends, and answers then."""
    while (await receive())["type"] != "http.disconnect":
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def test_a_body_below_the_least_speed_is_let_go_after_its_first_seconds() -> None:
    by_hand = ByHand(Pace(60, 1000))

    async def trickle() -> Message:
        by_hand.clock[0] += 10
        return {"type": "http.request", "body": b"\0" * 100, "more_body": True}

    by_hand.run(reading, trickle, (b"transfer-encoding", b"chunked"), (b"expect", b"100-continue"))
    assert by_hand.sent[0]["status"] == 408
    assert by_hand.clock[0] == GRACE_S + 10


def test_who_waits_for_the_end_of_a_connection_is_not_slow() -> None:
    """What a stream of events does: it asks whether its reader is still there."""
    by_hand = ByHand(Pace(0.05, 0))
    coming: list[Message] = [{"type": "http.request", "body": b"abc"}]

    async def receive() -> Message:
        if coming:
            return coming.pop()
        ends = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, ends.set)
        await ends.wait()
        return {"type": "http.disconnect"}

    by_hand.run(reading, receive, (b"content-length", b"3"))
    assert by_hand.sent[0]["status"] == 200
