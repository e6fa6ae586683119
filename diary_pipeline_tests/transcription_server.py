"""A transcription server on loopback that speaks OpenAI's wire format: multipart in, JSON out.

What it hears is decided by whoever starts it, so it can stand for any server: one with a model behind it, one that
knows less, one that fails. It keeps what it was sent.
"""

import json
import re
import threading
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import numpy as np

from diary_pipeline.transcription.transcriber import Block, Heard, Transcriber, hear
from diary_pipeline_tests.servers import missing_server


@dataclass(frozen=True)
class Posted:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    """By name in lower case."""
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    wav: bytes = b""

    @property
    def samples(self) -> Block:
        """The audio that was sent."""
        with wave.open(BytesIO(self.wav)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768

    @property
    def verbose(self) -> bool:
        """Whether times are asked for."""
        return self.fields["response_format"] == ["verbose_json"]


@dataclass(frozen=True)
class Reply:
    """What the server sends back; a dict goes out as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class TranscriptionDouble:
    """A running server."""

    url: str
    posted: list[Posted] = field(default_factory=list)


def refusal(status: int, code: str = "", param: str = "", **headers: str) -> Reply:
    """Refuse as OpenAI does; headers as `retry_after_ms="1"`."""
    error = {"message": "What was sent: secret words.", "type": "error", "param": param or None, "code": code or None}
    return Reply({"error": error}, status, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def transcription_server(answer: Callable[[Posted], Reply]) -> Iterator[TranscriptionDouble]:
    """Start a server on a free port; skip where the SDK that talks to it is not installed."""
    try:
        import openai  # noqa: F401
    except ModuleNotFoundError:
        missing_server("the Python package openai is not installed")
    double = TranscriptionDouble("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._reply(_posted(self.path, _lower(self.headers), body))

        def do_GET(self) -> None:
            self._reply(Posted(self.path, _lower(self.headers)))

        def _reply(self, posted: Posted) -> None:
            double.posted.append(posted)
            reply = answer(posted)
            sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(sent)), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *what: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that gave up waiting closes its end

    server = Server(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _posted(path: str, headers: Mapping[str, str], body: bytes) -> Posted:
    boundary = b"--" + headers["content-type"].partition("boundary=")[2].strip('"').encode()
    fields: dict[str, list[str]] = {}
    wav = b""
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        assert name
        if b"filename=" in head:
            assert name[1] == b"file"
            wav = content
        else:
            fields.setdefault(name[1].decode(), []).append(content.decode())
    return Posted(path, headers, fields, wav)


def heard_by(transcriber: Transcriber) -> Callable[[Posted], Reply]:
    """Answer as OpenAI would with this engine for a model."""
    lock = threading.Lock()

    def answer(posted: Posted) -> Reply:
        samples = posted.samples
        with lock:
            return Reply(as_openai(hear(transcriber, [samples])))

    return answer


def as_openai(heard: Heard) -> dict[str, Any]:
    """Write what was heard as OpenAI's verbose_json: the language in English, words without their punctuation."""
    said = [segment for segment in heard.segments if segment.text]
    return {
        "task": "transcribe",
        "language": "english",
        "duration": heard.samples / 16_000,
        "text": " ".join(segment.text for segment in said),
        "words": [
            {"word": re.sub(r"[^\w' -]", "", word.text), "start": word.start_s, "end": word.end_s}
            for segment in said
            for word in segment.words
        ],
        "segments": [
            {
                "id": number,
                "seek": 0,
                "start": segment.start_s,
                "end": segment.end_s,
                "text": " " + segment.text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": segment.avg_logprob,
                "compression_ratio": segment.compression_ratio,
                "no_speech_prob": segment.no_speech_prob,
            }
            for number, segment in enumerate(said)
        ],
    }
