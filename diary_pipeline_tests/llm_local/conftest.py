"""One llama.cpp server with the smallest model for the tests of this folder, which are skipped where it cannot be."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.local_model.server import LocalServer, Plan, serving
from diary_pipeline.notes.local_model.weights import SMALLEST, find
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.settings import load_settings

KEY = "the-key-of-this-test-session"
CONTEXT_TOKENS = 1024


@dataclass(frozen=True)
class Lent:
    """The server and the file in which it reports."""

    server: LocalServer
    log_file: Path

    def route(self, **changes: object) -> Route:
        """Give a route to it, as `diary llm serve` prints one."""
        wanted = {
            **{"name": "local", "provider": "openai", "model": self.server.model, "base_url": self.server.url},
            **{"api_key": self.server.api_key, "local": True, "prose": False, "timeout_s": 120.0, "concurrency": 1},
            **{"context_tokens": self.server.context_tokens},
            **changes,
        }
        return Route(**wanted)  # type: ignore[arg-type]


def weights() -> Path:
    """Return the smallest model's file, or skip the test."""
    pytest.importorskip("openai", reason="the extra `llm` is not installed", exc_type=ImportError)
    pytest.importorskip("xllamacpp", reason="the extra `local-llm` is not installed", exc_type=ImportError)
    try:
        return find(SMALLEST, load_settings().model_dir / "llm")
    except ServiceMissing as missing:
        pytest.skip(missing.message)


@pytest.fixture(scope="session")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lent]:
    """A server with one slot and a small context, on a port that was free."""
    log_file = tmp_path_factory.mktemp("llm") / "private" / "server.log"
    plan = Plan(weights(), SMALLEST, context_tokens=CONTEXT_TOKENS, slots=1, threads=1)
    with serving(plan, KEY, log_file) as server:
        yield Lent(server, log_file)
