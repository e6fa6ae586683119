"""`python -m diary_pipeline.instance.webserver`: `dagster-webserver` with all its options, behind own_pages.py.

`python -m diary_pipeline.instance.webserver dev ...` is `dagster dev` with that webserver. The surprise: neither has a
place for a middleware, so a name in Dagster's modules is replaced before it runs (pyproject.toml pins the minor).

The host names that it answers to beside loopback's stand in DIARY_UI_HOSTS, which `diary dev` sets from its settings.
"""

import os
import sys
from typing import Any

from dagster._cli import dev
from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware

from diary_pipeline.instance.own_pages import OwnPagesOnly

MODULE = "diary_pipeline.instance.webserver"
STOCK = "dagster_webserver"


class OwnPagesWebserver(DagsterWebserver[Any, Any]):
    """The stock webserver behind OwnPagesOnly."""

    def build_middleware(self) -> list[Middleware]:
        """Put ours before the stock ones."""
        hosts = os.environ.get("DIARY_UI_HOSTS", "").replace(",", " ").split()
        return [Middleware(OwnPagesOnly, hosts=hosts), *super().build_middleware()]


def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    if arguments[:1] == ["dev"]:
        _replace(dev, "open_ipc_subprocess", lambda start: lambda parts, **kw: start(_with_ours(parts), **kw))
        dev.dev_command(arguments[1:], standalone_mode=True)
        return
    _replace(app, "DagsterWebserver", lambda _: OwnPagesWebserver)
    cli.cli(arguments, auto_envvar_prefix="DAGSTER_WEBSERVER")


def _with_ours(parts: list[str]) -> list[str]:
    return [MODULE if part == STOCK else part for part in parts]


def _replace(module: Any, name: str, other: Any) -> None:
    # A name that is gone raises here; setting it would leave the stock server unguarded in silence.
    setattr(module, name, other(getattr(module, name)))


if __name__ == "__main__":
    main(sys.argv[1:])
