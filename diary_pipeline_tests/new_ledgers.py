"""Ledgers with nothing in them, made once and copied: making one takes longer than most tests do.

That opening makes the tables is proved where a test asks for the address of a ledger and for no ledger.
"""

import shutil
from functools import cached_property
from pathlib import Path

from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline_tests.servers import Postgres

NAME = "new_ledger"


class NewLedgers:
    """Copies of an empty ledger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: set[int] = set()

    def on_sqlite(self, url: str) -> None:
        """Put one where the address says."""
        target = Path(url.removeprefix("sqlite:///"))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(self._file, target)
        target.chmod(0o600)

    def on_postgres(self, server: Postgres) -> str:
        """Name the database to copy."""
        if server.port not in self._ports:
            open_ledger(server.lasting(NAME)).close()
            self._ports.add(server.port)
        return NAME

    @cached_property
    def _file(self) -> Path:
        file = self._folder / "new.db"
        open_ledger(f"sqlite:///{file}").close()
        return file
