"""Both APIs of a home as a process of their own, so that a test can kill it at any moment.

`python -m diary_pipeline_tests.api.replica SOCKET`, with the settings in the environment: serves on a listening socket
that it inherits by that number.
"""

import socket
import sys

import uvicorn

from diary_pipeline.api.app import all_in_one
from diary_pipeline.api.parts import parts_of
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring


def main(number: str) -> None:
    """Serve until killed."""
    app = all_in_one(parts_of(Wiring(load_settings())))
    with socket.socket(fileno=int(number)) as listening:
        uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none")).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
