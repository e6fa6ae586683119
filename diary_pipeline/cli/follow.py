"""What somebody who waits sees: one line for each recording that ends, and how many are still on their way.

Goes to standard error, so that standard output stays the result. Reads the ledger only.
"""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from diary_pipeline.cli.output import console, shown
from diary_pipeline.core.batch import ENDED, Result
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.transcription.renderers.lines import clock

POLL_S = 0.5
HEARD = 0.8
"""How much of the way a recording has come that was transcribed here and whose batch is not committed yet."""
COLOURS = {"completed": "green", "degraded": "yellow"}


class Follow:
    """Shows progress from a thread of its own while the body of the `with` runs."""

    def __init__(self, ledger: Ledger, submission_ids: Sequence[str]) -> None:
        self._ledger, self._ids = ledger, list(submission_ids)
        self._told: set[str] = set()
        self._heard: set[str] = set()
        self._partly: dict[str, float] = {}
        self._at = ""
        self._stop = threading.Event()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console(),
            transient=True,
        )
        self._task = self._progress.add_task("waiting", total=len(self._ids))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self._progress.stop()

    def on_result(self, result: Result) -> None:
        """Say what is being worked on; the ledger hears of it only when the whole batch is committed."""
        self._heard.add(result.key)
        self._partly.pop(result.key, None)
        self._move()

    def on_progress(self, recording: Recording, at_s: float) -> None:
        """Say how far a recording has come; a long one moves the bar before it ends."""
        if recording.declared_s:
            self._partly[recording.key] = min(1.0, at_s / recording.declared_s)
        self._at = f" · {shown(recording.file_name)} {clock(at_s)}"
        self._move()

    def on_trouble(self, sentence: str) -> None:
        """Say why a run stopped."""
        self._progress.console.print(f"[yellow]{escape(sentence)}[/]", highlight=False)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            self._look()

    def _look(self) -> None:
        with self._ledger.reading() as conn:
            rows = submissions.get(conn, [id for id in self._ids if id not in self._told])
        for row in rows:
            if row.status in ENDED:
                self._told.add(row.id)
                colour = COLOURS.get(row.status, "red")
                reason = f"  [dim]{row.reason_code}[/]" if row.reason_code else ""
                twin = "  [dim]known already[/]" if row.duplicate else ""
                name = shown(" ".join(row.file_name.splitlines()))
                named = f"[{colour}]{row.status:<10}[/] {escape(name)}"
                self._progress.console.print(f"{named}{reason}{twin}", highlight=False)
        self._move()

    def _move(self) -> None:
        done, under_way = len(self._told), max(0, len(self._heard) - len(self._told))
        come = done + HEARD * (under_way + sum(self._partly.values()))
        said = escape(f"{done} of {len(self._ids)} done{self._at if self._partly else ''}")
        self._progress.update(self._task, completed=come, description=said)
