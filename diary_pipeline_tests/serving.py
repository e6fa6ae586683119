"""An ASGI app behind a real uvicorn on loopback, in a thread of the test's process.

Set as `diary api` sets it where that matters to who asks: our connections, no header of the server's own, no proxy's word taken.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from diary_pipeline.api.connections import Connection


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """Serve an app, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:  # listens already: who comes early waits in its queue
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
