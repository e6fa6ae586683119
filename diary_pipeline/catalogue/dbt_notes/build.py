"""One build of the marts: dbt works on a copy of the last ones, and only what passes its tests takes their place.

What the tables hold is `dbt_notes/`; carrying them into the published file is the publisher's business, who copies the
tables of the schema `marts` out of the file that is left here.

What surprises: a build sees one published file, whatever is published meanwhile, because dbt keeps it open; which one
stands in `marts_state`. The file is called marts.duckdb and so is its schema: say `marts.marts.people`, or attach it
under another name.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from diary_pipeline.catalogue.dbt_notes.project import dbt, fingerprint
from diary_pipeline.catalogue.descriptions import quoted
from diary_pipeline.core.errors import NotFound, PermanentError, ServiceMissing
from diary_pipeline.ledger.identity import course_of
from diary_pipeline.storage.private import swap_in

_OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_PAGE = "static_index.html"


@dataclass(frozen=True)
class Step:
    """A model that was built, or a test that was made."""

    id: str
    """As the manifest calls it."""
    name: str
    outcome: Literal["passed", "warned", "failed", "skipped"]
    seconds: float
    failures: int
    """Rows that a test found and should not have."""
    rows: int | None
    """Of a table of the schema `marts`."""


@dataclass(frozen=True)
class Built:
    """What came of a build."""

    steps: tuple[Step, ...]
    """In the order they were made."""
    seconds: float
    from_nothing: bool

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of what went wrong; with one of them the marts that were there have stayed."""
        return tuple(step.name for step in self.steps if step.outcome == "failed")

    def demand(self) -> None:
        """Raise PermanentError when something went wrong."""
        if self.failed:
            raise PermanentError(
                "marts_unsound",
                f"The marts stay as they were, because these failed: {', '.join(self.failed)}; "
                "`dbt build --project-dir dbt_notes --profiles-dir dbt_notes` says why.",
            )


class Marts:
    """The marts of one deployment; `page` describes them, `catalogue` is what they are made of."""

    def __init__(self, catalogue: Path, file: Path) -> None:
        self.catalogue = catalogue
        self.file = file
        self.page = file.with_suffix(".html")
        self.workplace = file.with_name(f".{file.name}.next")
        self.next = self.workplace / "marts.duckdb"  # dbt calls the database by it, whatever `file` is called

    def build(self, *, from_nothing: bool = False) -> Built:
        """Bring the marts up to what is published; one build at a time, others wait.

        Raises ServiceMissing when dbt could not begin; what dbt built or tested in vain is told by `Built.failed`.
        """
        started = time.perf_counter()
        if not self.catalogue.exists():
            raise NotFound(
                "catalogue_missing", f"Nothing has been published to {self.catalogue} yet; run `diary publish` first."
            )
        with self._alone():
            try:
                went_on = not from_nothing and self._copied()
                dbt("build", "docs generate --static", workplace=self.workplace, files=self._files())
                steps = self._steps()
                done = Built(steps, time.perf_counter() - started, not went_on)
                if not done.failed:
                    self._swap()
            finally:
                self._clean()
        return done

    def forget(self) -> None:
        """Remove every byte of the marts, once a build that is under way has ended; the next begins from nothing."""
        with self._alone():
            self.file.unlink(missing_ok=True)

    def _files(self) -> dict[str, str]:
        return {"DIARY_CATALOGUE_FILE": str(self.catalogue), "DIARY_MARTS_FILE": str(self.next)}

    def _copied(self) -> bool:
        """Copy the last marts to go on with; False: there are none, or they are of other models or another ledger."""
        if not self.file.exists():
            return False
        try:
            with duckdb.connect(config=dict(_OFFLINE)) as db:
                db.execute(f"ATTACH {quoted(str(self.file))} AS built (READ_ONLY)")
                db.execute(f"ATTACH {quoted(str(self.catalogue))} AS published (READ_ONLY)")
                built = db.execute("SELECT project, watermark FROM built.marts.marts_state").fetchone()
                there = db.execute("SELECT watermark FROM published.catalogue_state").fetchone()
        except duckdb.Error:
            return False  # damaged, or of a time before there was a state
        if not built or not there or built[0] != fingerprint():
            return False
        if built[1] > there[0] or course_of(built[1]) != course_of(there[0]):
            return False
        shutil.copyfile(self.file, self.next)
        self.next.chmod(0o600)
        return True

    def _steps(self) -> tuple[Step, ...]:
        try:
            results = json.loads((self.workplace / "target" / "first_run_results.json").read_bytes())["results"]
        except (OSError, ValueError, KeyError) as error:
            raise ServiceMissing(
                "marts_failed",
                "dbt could not begin to build the marts: `dbt build --project-dir dbt_notes --profiles-dir dbt_notes` "
                "says why.",
            ) from error
        rows = self._rows()
        steps = []
        for result in results:
            kind, _, name = str(result["unique_id"]).split(".")[:3]
            if kind in ("model", "test"):
                steps.append(
                    Step(
                        id=result["unique_id"],
                        name=name,
                        outcome=_OUTCOMES.get(result["status"], "failed"),
                        seconds=float(result["execution_time"]),
                        failures=int(result.get("failures") or 0),
                        rows=rows.get(name) if kind == "model" else None,
                    )
                )
        return tuple(steps)

    def _rows(self) -> dict[str, int]:
        if not self.next.exists():  # dbt could open none of the two files
            return {}
        with duckdb.connect(config=dict(_OFFLINE)) as db:
            db.execute(f"ATTACH {quoted(str(self.next))} AS built")
            db.execute("CHECKPOINT built")  # only the file is kept, so nothing may be left in a log beside it
            tables = db.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'built' AND schema_name = 'marts'"
            ).fetchall()
            counts = {}
            for (table,) in tables:
                counted = db.execute(f"SELECT count(*) FROM built.marts.{table}").fetchone()  # noqa: S608 - our models
                counts[str(table)] = int(counted[0]) if counted else 0
        return counts

    def _swap(self) -> None:
        swap_in(self.next, self.file)
        page = self.workplace / "target" / _PAGE
        if page.exists():
            page.replace(self.page)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.file.with_name(f".{self.file.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._clean()  # what a killed build left
            self.workplace.mkdir(mode=0o700)
            yield
        finally:
            self._clean()
            os.close(lock)

    def _clean(self) -> None:
        shutil.rmtree(self.workplace, ignore_errors=True)


_OUTCOMES: dict[str, Literal["passed", "warned", "failed", "skipped"]] = {
    "success": "passed",
    "pass": "passed",
    "warn": "warned",
    "skipped": "skipped",
}
