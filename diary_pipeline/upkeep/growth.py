"""Keeping the catalogue small: the log's small objects are merged, and the published file is rewritten when it pays.

What is merged and what is dead are the catalogue's to say. Rewriting happens in the publisher's own process, which is
handed in as a command: a process that reads the catalogue must not write it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from diary_pipeline.catalogue import compaction
from diary_pipeline.catalogue.merge import merge
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.store import ObjectStore


@dataclass(frozen=True)
class Growth:
    """What is done now and then so that reading and rebuilding stay as cheap as what there is."""

    ledger: Ledger
    store: ObjectStore
    publisher: Publisher
    compact: Callable[[], object]
    """Rewrites the published file, in a process of its own."""
    rollback_s: float
    """For so long any version may be gone back to; merging keeps only the current and the previous one."""
    worth_it: float = compaction.WORTH_IT
    """Share of dead rows above which the published file is rewritten."""

    def __call__(self) -> Mapping[str, int | float | bool]:
        """Do what is due and return what it cost."""
        started = time.perf_counter()
        merged = merge(self.ledger, self.store, older_than_s=self.rollback_s)
        merged_s = time.perf_counter() - started
        share = self.publisher.dead_share()
        is_due = share > self.worth_it
        size = self._published_bytes()
        if is_due:
            self.compact()
        return {
            "objects_read": merged.objects,
            "objects_written": merged.into,
            "versions_let_go": merged.forgotten,
            "bytes_read": merged.bytes_before,
            "bytes_written": merged.bytes_after,
            "merge_s": round(merged_s, 3),
            "dead_share": round(share, 4),
            "compacted": is_due,
            "published_bytes_before": size,
            "published_bytes": self._published_bytes(),
            "seconds": round(time.perf_counter() - started, 3),
        }

    def _published_bytes(self) -> int:
        live = self.publisher.live
        return live.stat().st_size if live.exists() else 0
