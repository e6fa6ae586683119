"""The note stage over a real home, as a process of its own, so that a test can kill it at any moment.

`python -m diary_pipeline_tests.note_worker HOLDER LEASE_S PAUSE KEY...`, with the settings in the environment: claims
the recordings, waiting for leases of the dead to run out, writes and commits their notes. With PAUSE `written` it says
so once all notes are written and none is committed, and waits there for a line on standard input.
"""

import sys
import time
from collections.abc import Iterator, Sequence

from diary_pipeline.core.note import Writer
from diary_pipeline.core.owner import Owner
from diary_pipeline.ledger import batches
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.renderers.template import Template
from diary_pipeline.notes.writer import NoteWriter, ToWrite, Written
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring


class Pausing:
    """A note writer that waits when all is written, and nothing is committed."""

    def __init__(self, behind: NoteWriter) -> None:
        self._behind = behind

    @property
    def writer(self) -> Writer:
        return self._behind.writer

    def prompt_versions(self, owner: Owner) -> frozenset[str]:
        return self._behind.prompt_versions(owner)

    def versions(self, asked: ToWrite) -> frozenset[str]:
        return self._behind.versions(asked)

    def form(self, asked: ToWrite) -> tuple[Template, str | None]:
        return self._behind.form(asked)

    def write(self, asked: Sequence[ToWrite], run: str) -> Iterator[tuple[str, Written | Exception]]:
        done = list(self._behind.write(asked, run))
        print("written", flush=True)
        sys.stdin.readline()
        yield from done


def main(holder: str, lease_s: str, pause: str, *keys: str) -> None:
    """Write the notes of some recordings."""
    wiring = Wiring(load_settings())
    writer = Pausing(wiring.note_writer) if pause == "written" else wiring.note_writer
    stage = WriteNotes(wiring.ledger, wiring.store, writer)
    batch = batches.claim_keys(wiring.ledger, "note", keys, holder, float(lease_s))
    while batch.held:
        time.sleep(0.05)
        batch = batches.claim_keys(wiring.ledger, "note", keys, holder, float(lease_s))
    for result in stage(batch).results:
        print(result.key, result.outcome, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
