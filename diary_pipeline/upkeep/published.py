"""The published files as a place that erasures empty: the one of this machine, and those of other publishers.

What compacting is, is the catalogue's to say; it happens in the publisher's own process, handed in as a command.

What surprises: only its own publisher can rewrite a file on another disk. It does so with the next publish, so an
erasure waits for those that publish by themselves; one of a machine that publishes no more is rewritten should it ever
publish again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Subject, last_hidden_seq
from diary_pipeline.ledger.publications import not_compacted


@dataclass(frozen=True)
class PublishedFiles:
    """What users open, on every machine that publishes by itself."""

    ledger: Ledger
    compact: Callable[[], object]
    """Publishes and rewrites the file of this machine, in a process of its own."""
    name: str = "catalogue"

    def count(self, _gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count files that may hold bytes of what was hidden last; nobody can tell of whom."""
        with self.ledger.reading() as conn:
            found = not_compacted(conn, last_hidden_seq(conn))
        return {"files": found} if found else {}

    def remove(self, _gone: Sequence[Subject], /) -> None:
        """Rewrite the one that is here."""
        self.compact()
