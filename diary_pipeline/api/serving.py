"""Serving apps on their ports until somebody says stop.

Two apps are two servers in one event loop. What surprises: uvicorn's own handling of signals is left out, because each
server would take it from the other, and because it ends the process by the signal when all is done: a service manager
would call that a failure.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence

import uvicorn
from starlette.types import ASGIApp

from diary_pipeline.api.connections import Connection
from diary_pipeline.core.errors import UsageError
from diary_pipeline.observability.logs import log

MOST_HEADER_BYTES = 65_536
"""Of one request, while it is not whole."""
KEEP_ALIVE_S = 20
BACKLOG = 2048

logger = log(__name__)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Take a port (0: any that is free); UsageError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)  # whoever is told the address may ask at once and waits here while the apps start
    except OSError as error:
        bound.close()
        raise UsageError(
            "port_taken",
            f"{host}:{port} cannot be used ({error.strerror or error}): stop what serves there, or name another.",
        ) from error
    return bound


def serve(
    apps: Mapping[socket.socket, ASGIApp],
    most_connections: int,
    stop_s: int,
    on_stop: Sequence[Callable[[], None]] = (),
) -> None:
    """Serve each app on its port until SIGTERM or SIGINT; then requests have `stop_s` seconds to end.

    `most_connections`: of each app; whoever is one too many is told 503. `on_stop` end the answers that have no end.
    """
    configs = [_config(app, most_connections, stop_s) for app in apps.values()]
    with asyncio.Runner(loop_factory=configs[0].get_loop_factory()) as runner:
        runner.run(_serve([_Server(config) for config in configs], list(apps), on_stop))


def _config(app: ASGIApp, most_connections: int, stop_s: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,  # request_log.py tells of requests, and its lines are ours
        access_log=False,
        server_header=False,
        proxy_headers=False,  # addresses.py decides whom to believe
        limit_concurrency=most_connections,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=stop_s,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )


async def _serve(
    servers: Sequence[_Server], sockets: Sequence[socket.socket], on_stop: Sequence[Callable[[], None]]
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        logger.info("stopping")
        for server in servers:
            server.force_exit = server.should_exit  # said twice: at once
            server.should_exit = True
        for end in on_stop:
            end()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    tasks = [asyncio.create_task(one.serve([at])) for one, at in zip(servers, sockets, strict=True)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:  # one that could not start takes the other along
        server.should_exit = True
    await asyncio.gather(*tasks)
