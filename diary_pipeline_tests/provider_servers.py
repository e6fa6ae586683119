"""Language model servers on loopback that speak OpenAI's, Anthropic's and Mistral's wire formats to the real SDKs.

What they answer is scripted, one reply a request; without a script every request succeeds. They keep what they were
asked, so that calls can be counted. No model is behind them, and no file of ours decides what they say.
"""

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from diary_pipeline.notes.routing.route import ProviderName
from diary_pipeline_tests.servers import missing_server

SDKS: dict[ProviderName, str] = {"openai": "openai", "anthropic": "anthropic", "mistral": "mistralai"}
Ending = Literal["stop", "length", "context_full", "refusal", "filtered"]
Way = Literal["whole", "drip", "half", "dropped"]

ENDINGS: dict[ProviderName, dict[Ending, str]] = {
    "openai": {
        "stop": "stop",
        "length": "length",
        "context_full": "length",
        "refusal": "stop",
        "filtered": "content_filter",
    },
    "anthropic": {
        "stop": "end_turn",
        "length": "max_tokens",
        "context_full": "model_context_window_exceeded",
        "refusal": "refusal",
        "filtered": "refusal",
    },
    "mistral": {
        "stop": "stop",
        "length": "length",
        "context_full": "model_length",
        "refusal": "stop",
        "filtered": "content_filter",
    },
}


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    """By name in lower case."""
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """All words that were sent to the model."""
        system = self.body.get("system", "")
        return "\n".join([str(system), *(str(message["content"]) for message in self.body["messages"])])

    @property
    def key(self) -> str:
        """The API key that was sent."""
        return self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Reply:
    """What a server sends back: an answer of a model, or a body as it is."""

    text: str | Callable[[Asked], str] = "good"
    """What the model writes, or what it makes of what it is asked."""
    ended: Ending = "stop"
    model: str | None = None
    """None: the one that was asked for."""
    input: int = 1200
    cached: int = 1000
    output: int = 200
    body: Any = None
    """A dict goes out as JSON, words as they are; None: the answer above in the provider's format."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    """How long the model thinks."""
    way: Way = "whole"
    """How it goes out: byte by byte for ever, cut in the middle, or not at all."""


@dataclass
class ProviderDouble:
    """A running server."""

    provider: ProviderName
    url: str
    """As a route's `base_url`."""
    script: deque[Reply] = field(default_factory=deque)
    """What is answered, in order."""
    otherwise: Reply = Reply()
    """What is answered once the script is empty."""
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


def failure(provider: ProviderName, status: int, code: str = "error", message: str = "no", **headers: str) -> Reply:
    """Fail as this provider does; headers as `retry_after="30"`."""
    body: dict[str, Any] = {
        "openai": {"error": {"message": message, "type": code, "param": None, "code": code}},
        "anthropic": {"type": "error", "error": {"type": code, "message": message}, "request_id": "req-1"},
        "mistral": {"object": "error", "message": message, "type": code, "param": None, "code": "1000"},
    }[provider]
    return Reply(body=body, status=status, headers={n.replace("_", "-"): v for n, v in headers.items()})


@contextmanager
def provider_server(provider: ProviderName) -> Iterator[ProviderDouble]:
    """Start a server on a free port; skip where the SDK that talks to it is not installed."""
    try:
        __import__(SDKS[provider])
    except ModuleNotFoundError:
        missing_server(f"the Python package {SDKS[provider]} is not installed")
    stopping = threading.Event()
    lock = threading.Lock()
    double = ProviderDouble(provider, "")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with lock:
                double.asked.append(asked)
                double.at_once += 1
                double.most_at_once = max(double.most_at_once, double.at_once)
                reply = double.script.popleft() if double.script else double.otherwise
            if reply.way == "dropped":
                with lock:
                    double.at_once -= 1
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            told = as_told_by(provider, asked, reply) if reply.body is None else reply.body
            stopping.wait(reply.after_s)
            with lock:
                double.at_once -= 1
            self._send(reply, told.encode() if isinstance(told, str) else json.dumps(told).encode())

        def _send(self, reply: Reply, body: bytes) -> None:
            self.send_response(reply.status)
            headers = {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "request-id": "req-1",
                "x-request-id": "req-1",
                **reply.headers,
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.way == "half":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            if reply.way == "drip":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if stopping.wait(0.02):
                        return
                return
            self.wfile.write(body)

        def log_message(self, *what: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that gave up waiting closes its end

    server = Server(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_port}" + ("/v1" if provider == "openai" else "")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def as_told_by(provider: ProviderName, asked: Asked, reply: Reply) -> dict[str, Any]:
    """Write an answer as this provider does."""
    model = reply.model or asked.body["model"]
    ended = ENDINGS[provider][reply.ended]
    text = reply.text if isinstance(reply.text, str) else reply.text(asked)
    if provider == "anthropic":
        assert asked.path == "/v1/messages"
        content = [] if reply.ended in ("refusal", "filtered") else [{"type": "text", "text": text}]
        return {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": ended,
            "stop_sequence": None,
            "usage": {
                "input_tokens": reply.input - reply.cached,
                "cache_read_input_tokens": reply.cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": reply.output,
            },
        }
    assert asked.path == "/v1/chat/completions"
    said: dict[str, Any] = {"role": "assistant", "content": None if reply.ended == "refusal" else text}
    if reply.ended == "refusal" and provider == "openai":
        said["refusal"] = "I cannot help with that."
    return {
        "id": "answer-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": said, "finish_reason": ended}],
        "usage": {
            "prompt_tokens": reply.input,
            "completion_tokens": reply.output,
            "total_tokens": reply.input + reply.output,
            "prompt_tokens_details": {"cached_tokens": reply.cached},
        },
    }
