"""The whole API over a home of its own, asked in this process; with keys for those who ask."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from diary_pipeline.api.app import all_in_one
from diary_pipeline.api.parts import Parts, parts_of
from diary_pipeline.ledger import api_keys
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring

HERE = "http://localhost"


@dataclass
class Home:
    """Both apps on one port."""

    parts: Parts
    app: FastAPI
    client: TestClient

    def key(self, owner: str | None = None, scopes: str = "submit,read", **said: object) -> dict[str, str]:
        """Make a key, and give the headers that show it."""
        _, text = api_keys.create(
            self.parts.ledger,
            name="test",
            scopes=scopes.split(","),
            owner=owner,
            **said,  # type: ignore[arg-type]
        )
        return {"Authorization": f"Bearer {text}"}


@contextmanager
def served_home(folder: Path, said: Mapping[str, str]) -> Iterator[Home]:
    """Serve a new home with these settings."""
    folder.mkdir(parents=True, exist_ok=True)
    wiring = Wiring(load_settings({"DIARY_HOME": str(folder), **said}))
    parts = parts_of(wiring)
    app = all_in_one(parts)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield Home(parts, app, client)
    wiring.ledger.close()
