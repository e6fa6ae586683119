"""HTTP to addresses that strangers name: one request on one connection to the address that the guard judged.

What is asked, retried, resumed and kept is others' business (fetch_http.py, webhooks). No proxy of the environment is
used, since a proxy would look the name up again, and no cookie, no credential is ever sent.

The surprise: httpcore's own timeouts count between two bytes, so a server that sends one byte a minute would hold a
worker for ever. The stream below gives every read only what is left of the whole time.
"""

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpcore
import httpx

from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.intake.addresses import Guard, Target

MOST_REDIRECTS = 5
_MOST_ADDRESSES = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ALWAYS = {"User-Agent": "diary-pipeline", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}


@dataclass(frozen=True)
class Answer:
    """The head of an answer; the body is read while the connection is open."""

    target: Target
    """Who answered, after redirects."""
    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    chunks: Iterator[bytes]
    """The body as it came, never decoded; TransientError `url_broken_off` when it ends too early."""


class GuardedHttp:
    """Asks what the guard lets through; safe to share between threads."""

    def __init__(
        self,
        guard: Guard,
        *,
        connect_s: float = 10.0,
        idle_s: float = 30.0,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        """`idle_s`: longest silence within an answer. `certificates`: whom to believe; default the public ones."""
        self.guard = guard
        self._connect_s, self._idle_s = connect_s, idle_s
        self._certificates = certificates or httpx.create_ssl_context()

    @contextmanager
    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        until: float = float("inf"),
        redirects: int = 0,
    ) -> Iterator[Answer]:
        """Send a request and give the answer, whatever its status; every redirect is judged like the first address.

        `until`: a moment of time.monotonic that ends it all. Errors are TransientError (`url_unreachable`,
        `url_tls_failed`, `url_too_slow`, `url_broken_off`) or PermanentError (`url_invalid`, `url_forbidden_address`,
        `url_too_many_redirects`, `url_insecure_redirect`).
        """
        target = self.guard.target(url)
        left = redirects
        while True:
            with self._answer(method, target, headers or {}, content, until) as answer:
                onward = answer.headers.get("location") if answer.status in _REDIRECTS and redirects else None
                if onward is None:
                    yield answer
                    return
            if left == 0:
                raise PermanentError(
                    "url_too_many_redirects",
                    f"{self.guard.target(url).shown} leads on more than {redirects} times; send the final address.",
                )
            left -= 1
            target = self._onward(target, onward)

    def _onward(self, target: Target, location: str) -> Target:
        onward = self.guard.target(urljoin(target.url, location))
        if (target.scheme, onward.scheme) == ("https", "http"):
            raise PermanentError(
                "url_insecure_redirect",
                f"{target.shown} leads on to an address without encryption; send that address if it is meant.",
            )
        return onward

    @contextmanager
    def _answer(
        self, method: str, target: Target, headers: Mapping[str, str], content: bytes, until: float
    ) -> Iterator[Answer]:
        network = _JudgedNetwork(self.guard.addresses(target), until)
        origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target.path.encode())
        with ExitStack() as opened:
            with _told(target, until, "url_unreachable"):
                connection = httpcore.HTTPConnection(origin, self._certificates, network_backend=network)
                response = opened.enter_context(
                    opened.enter_context(connection).stream(
                        method,
                        url,
                        headers=list({**_ALWAYS, "Host": target.authority, **headers}.items()),
                        content=content or None,
                        extensions={
                            "timeout": {"connect": self._connect_s, "read": self._idle_s, "write": self._idle_s}
                        },
                    )
                )
            said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            yield Answer(target, response.status, said, _chunks(response, target, until))


def _chunks(response: httpcore.Response, target: Target, until: float) -> Iterator[bytes]:
    with _told(target, until, "url_broken_off"):
        yield from response.iter_stream()


@contextmanager
def _told(target: Target, until: float, code: str) -> Iterator[None]:
    try:
        yield
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        if time.monotonic() >= until:
            raise TransientError("url_too_slow", f"{target.shown} took too long to answer.") from error
        if isinstance(error.__cause__, ssl.SSLError):
            raise TransientError(
                "url_tls_failed", f"{target.shown} could not prove who it is ({error.__cause__.reason})."
            ) from error
        happened = "broke off" if code == "url_broken_off" else "did not answer"
        raise TransientError(code, f"{target.shown} {happened} ({type(error).__name__}).") from error


class _JudgedNetwork(httpcore.NetworkBackend):
    """Connects to the addresses it is given, whatever the host is called."""

    def __init__(self, addresses: Sequence[str], until: float) -> None:
        self._addresses, self._until = addresses[:_MOST_ADDRESSES], until

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - a name, which must not be looked up again
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        *others, last = self._addresses
        for address in others:
            try:
                return self._connect(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(last, port, timeout, local_address, socket_options)

    def _connect(self, address: str, port: int, timeout: float | None, *rest: Any) -> httpcore.NetworkStream:
        left = _left(timeout, self._until)
        return _TimedStream(httpcore.SyncBackend().connect_tcp(address, port, left, *rest), self._until)


class _TimedStream(httpcore.NetworkStream):
    """Reads and writes until a moment and no longer."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, self._until))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(timeout, self._until))
        return _TimedStream(secured, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, until: float) -> float | None:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the whole time is over")
    return min(timeout or left, left)
