"""`diary watch`: the long-running intake worker. It takes in what arrives, and leaves transcribing to the daemon.

What it does stands in intake/; here it goes round: ask queue, buckets and folders, work off what was submitted. Any
number may run at once, on any machine that reaches the ledger and the object store. The surprise: a round ends after
ROUND_S though files wait, so that a new folder or an urgent job is seen while ten thousand memos are taken in; what is
being fetched goes on over the rounds.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, prepare_home
from diary_pipeline.cli.output import say
from diary_pipeline.core.errors import TransientError

if TYPE_CHECKING:
    from diary_pipeline.intake.receive import Received
    from diary_pipeline.intake.work import IntakeReport
    from diary_pipeline.wiring.deployment import Wiring

ROUND_S = 10.0
PAUSE_S = 2.0
AFTER_TROUBLE_S = 30.0
FILES = 1_000


def watch(
    once: Annotated[bool, typer.Option("--once", help="End when nothing waits that could be taken in now.")] = False,
) -> None:
    """Take in what arrives by queue, buckets, folders, uploads and addresses to fetch; until Ctrl-C or SIGTERM.

    Recordings that it accepts are transcribed by the daemon (`diary dev`). Run as many as you like.

    Exit code with --once: 3 when a queue, bucket or folder could not be asked at last, else 1 when some were refused.
    """
    settings = begin()
    prepare_home(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    if not once:
        say(f"watching {len(settings.folders)} folders and what is submitted; Ctrl-C ends it")
    refused, could_ask = 0, True
    with _stopped_by_signals() as stop:
        try:
            while not stop.is_set():
                pause_s = PAUSE_S
                try:
                    report, waits, could_ask = _round(wiring, stop)
                    refused += report.refused
                    if waits:
                        pause_s = 0.0
                    elif once and not report.fetching:
                        break
                except TransientError as error:  # a full disk or a lost share: they may come back
                    if once:
                        raise
                    say(f"diary: {error.message} [{error.code}] Trying again in {AFTER_TROUBLE_S:.0f} s.")
                    pause_s = AFTER_TROUBLE_S
                stop.wait(pause_s)
        finally:
            wiring.intake.stop()
    if once and not could_ask:
        raise typer.Exit(3)
    if once and refused:
        raise typer.Exit(1)


def _round(wiring: "Wiring", stop: threading.Event) -> "tuple[IntakeReport, bool, bool]":
    """Look and take in once; also say whether more waits already, and whether every way in could be asked."""
    began = time.monotonic()
    intake = wiring.intake
    found = wiring.arrivals.look(folders_s=ROUND_S)
    for trouble in found.troubles:
        say(f"diary: {trouble.message} [{trouble.code}]")
    report = intake.work(ROUND_S, FILES, _tell, until=stop.is_set)
    if taken := report.accepted + report.duplicates:
        left = f", {report.left} or more wait" if report.left else ""
        far = f", {report.fetching} being fetched" if report.fetching else ""
        say(f"took in {taken} in {time.monotonic() - began:.1f} s{left}{far}")
    return report, bool(found.new or report.left or intake.is_looking), not found.troubles


def _tell(received: "Received") -> None:
    if received.code:
        say(f"{received.outcome}: {received.message} [{received.code}]")


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that the first SIGTERM or Ctrl-C sets; a second one ends the process as it always did."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
