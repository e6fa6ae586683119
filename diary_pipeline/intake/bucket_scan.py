"""Looking through watched buckets: a bounded number of pages a slice, on from where the last slice ended, round and
round.

A listing is the source when no queue announces uploads, and finds what a queue has lost. What is to be taken, and whose
it is, stands in buckets.py. The surprise: an object that was seen is known by its address and generation, in the same
table as files, so that one generation is submitted once and an overwritten object anew; the id of the submission is
the one that a notification of GCS makes too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diary_pipeline.core.errors import DiaryError
from diary_pipeline.intake.announced import job_of
from diary_pipeline.intake.buckets import WatchedBucket, is_recent, is_recording, object_uri, our_prefix, rule_for
from diary_pipeline.ledger import jobs, source_cursors, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.source_cursors import BEGIN, SeenObject
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.bucket import Stored
from diary_pipeline.storage.foreign import ForeignBucket

PAGE = 1000
"""Objects in one answer of GCS, which is the most it gives; one such answer costs 0.0005 cents."""
AT_ONCE = 200
"""Submissions in one transaction: on SQLite nobody else writes meanwhile."""
logger = log(__name__)


@dataclass(frozen=True)
class Looked:
    """What one slice did."""

    new: int = 0
    looked_at: int = 0
    pages: int = 0
    ended: int = 0
    """Buckets of which the last object was reached."""


class BucketScan:
    """Looks through the buckets of one deployment; keeps nothing but connections."""

    def __init__(
        self,
        ledger: Ledger,
        rules: Sequence[WatchedBucket],
        *,
        store: str | None = None,
        rest_s: float = 60.0,
        page: int = PAGE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`store`: gs://... of our own objects; `rest_s`: least seconds from the end of a round to the next one."""
        self._ledger = ledger
        self._rules = {rule.url: rule for rule in rules}
        self._store = store
        self._rest_s = rest_s
        self._page = page
        self._clock = clock
        self._buckets: dict[str, ForeignBucket] = {}

    def look(self, budget_s: float, max_pages: int = 2) -> Looked:
        """Look at some pages, the longest unseen bucket first; submit what is new there.

        A bucket that cannot be read is logged and left for the next slice, so that others have their turn.
        """
        deadline = time.monotonic() + budget_s
        new = looked_at = pages = ended = 0
        if not self._rules:
            return Looked()
        with self._ledger.reading() as conn:
            waiting = source_cursors.cursors(conn, list(self._rules))
        for url, cursor in waiting.items():
            if cursor.at == BEGIN and cursor.rested_s < self._rest_s:
                continue
            at: str | None = cursor.at
            while at is not None and pages < max_pages and (pages == 0 or time.monotonic() < deadline):
                try:
                    found = self._found(self._rules[url], at)
                except DiaryError as error:
                    logger.warning("bucket_unreadable", bucket=self._rules[url].bucket, code=error.code)
                    break
                pages += 1
                looked_at += len(found)
                fresh, at = self._submit(self._rules[url], at, found)
                new += fresh
                ended += at is None
        if new:
            logger.info("found_in_buckets", submissions=new)
        return Looked(new, looked_at, pages, ended)

    def _found(self, rule: WatchedBucket, after: str) -> list[Stored]:
        if rule.bucket not in self._buckets:
            self._buckets[rule.bucket] = ForeignBucket(rule.bucket)
        return self._buckets[rule.bucket].page(rule.prefix, after, self._page)

    def _submit(self, rule: WatchedBucket, after: str, found: Sequence[Stored]) -> tuple[int, str | None]:
        """Submit what is new on a page; return how many, and where to go on (None: that was the last page)."""
        ours, now = our_prefix(rule.bucket, self._store), self._clock()
        wanted = {
            object_uri(rule.bucket, one.name, None): one
            for one in found
            if not (ours is not None and one.name.startswith(ours))
            and is_recording(one.name, rule)
            and is_recent(one.written_at, now, rule)
            and rule_for(rule.bucket, one.name, self._rules.values()) == rule
        }
        with self._ledger.reading() as conn:
            seen = submissions.seen(conn, rule.owner, list(wanted))
        fresh = {
            place: (one, job_of(rule, one.name, one.generation))
            for place, one in wanted.items()
            if place not in seen or seen[place].mtime_ns != one.generation
        }
        wanted_jobs = sorted((job for _, job in fresh.values()), key=lambda job: job.id)
        new = 0
        for n in range(0, len(wanted_jobs), AT_ONCE):
            new += sum(one.is_new for one in jobs.open_jobs(self._ledger, wanted_jobs[n : n + AT_ONCE]))
        is_last = len(found) < self._page
        goes_on = BEGIN if is_last else _after(found[-1].name, ours)
        remembered = {place: SeenObject(one.size_bytes, one.generation, job.id) for place, (one, job) in fresh.items()}
        source_cursors.advance(self._ledger, rule.url, was=after, to=goes_on, owner=rule.owner, seen=remembered)
        return new, None if is_last else goes_on


def _after(name: str, ours: str | None) -> str:
    """Give where to go on after a name; past all of our own objects when it is one of them."""
    # `0` comes right after `/`, in which our prefix ends.
    return f"{ours[:-1]}0" if ours and name.startswith(ours) else name
