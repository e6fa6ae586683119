"""What lies elsewhere is brought here, several at once, beside the work on what is here.

Each fetch runs in a thread of its own that outlives the slice of work that began it: a slow address never holds up a
file, and one that cannot be resumed still gets its time. The ledger's lease keeps two workers from one address; who
loses it stops. How one scheme is fetched stands in its own file, behind the protocol of fetcher.py.

The surprise: nothing is lost when the process ends in the middle. The half-fetched file stays in the scratch folder
under the submission's id, and whoever takes the submission next on this machine goes on from there.
"""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import DiaryError, Fenced, PermanentError, ServiceMissing, Stopped, TransientError
from diary_pipeline.intake.fetcher import Fetcher, Order
from diary_pipeline.intake.names import scheme_of
from diary_pipeline.intake.near import Kept
from diary_pipeline.intake.parts import part_of
from diary_pipeline.intake.receive import Received, Rules, receive, refuse
from diary_pipeline.ledger import fetching, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.fetching import FetchLease
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

LEASE_S = 90.0
"""Longer than any silence that a fetcher waits through, so that only a dead one loses its lease."""
STORING_S = 600.0
"""Lease while the fetched file is hashed, probed and stored, which tells of no progress."""
_TOLD_EVERY_S = 3.0
logger = log(__name__)


@dataclass(frozen=True)
class FetchLimits:
    """What one process may spend on fetching."""

    at_once: int = 4
    timeout_s: float = 3_600.0
    """Of one try."""
    waits_s: tuple[float, ...] = (60.0, 300.0, 1_800.0)
    """Pauses after failures; a failure after the last pause is a refusal."""


class Fetching:
    """The fetches of one process."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        rules: Rules,
        fetchers: Mapping[str, Fetcher],
        limits: FetchLimits,
    ) -> None:
        """`fetchers`: by scheme."""
        self._ledger, self._store, self._rules = ledger, store, rules
        self._fetchers, self._limits = fetchers, limits
        self._under_way: dict[str, threading.Thread] = {}
        self._ended: queue.SimpleQueue[Received | ServiceMissing] = queue.SimpleQueue()
        self._stopping = threading.Event()

    @property
    def under_way(self) -> int:
        """How many fetches run now."""
        self._under_way = {id: thread for id, thread in self._under_way.items() if thread.is_alive()}
        return len(self._under_way)

    @property
    def free(self) -> int:
        """How many more may begin."""
        return self._limits.at_once - self.under_way

    def begin(self, submission: Submission) -> None:
        """Fetch it in a thread of its own, unless somebody does already."""
        if submission.id not in self._under_way:
            name = f"fetch-{submission.id[:8]}"
            thread = threading.Thread(target=self._run, args=(submission,), name=name, daemon=True)
            self._under_way[submission.id] = thread
            thread.start()

    def ended(self, wait_s: float = 0.0) -> Iterator[Received]:
        """Give what has ended since, waiting so long for the first of it; raise what is this machine's trouble."""
        try:
            while True:
                what = self._ended.get(timeout=wait_s) if wait_s > 0 else self._ended.get_nowait()
                if isinstance(what, ServiceMissing):
                    raise what
                wait_s = 0.0
                yield what
        except queue.Empty:
            return

    def stop(self, patience_s: float = 5.0) -> None:
        """End all fetches between two pieces; what they have is kept, and anybody may go on with it at once."""
        self._stopping.set()
        until = time.monotonic() + patience_s
        for thread in list(self._under_way.values()):
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self, submission: Submission) -> None:
        try:
            received = self._fetch(submission)
        except ServiceMissing as error:
            self._ended.put(error)
        except Exception:  # a ledger that is away: the lease runs out, and the submission is anybody's again
            logger.exception("fetch_stopped", submission=submission.id)
        else:
            if received:
                self._ended.put(received)

    def _fetch(self, submission: Submission) -> Received | None:
        lease = fetching.begin(self._ledger, submission.id, LEASE_S)
        if lease is None:
            return None
        held = _Held(self._ledger, lease, self._stopping)
        try:
            with part_of(self._rules.scratch, submission.id) as part:
                try:
                    return self._take_in(submission, part, held)
                except ServiceMissing:
                    raise
                except TransientError:
                    if not self._waits(submission):  # cancelled or erased, it leaves nothing here
                        Kept(submission, part).end()
                    raise
        except (Stopped, Fenced) as error:
            logger.info("fetch_left", submission=submission.id, code=error.code)
            held.release()
            return None
        except ServiceMissing:  # the scratch folder or the store: no fault of the address
            held.release(LEASE_S)
            raise
        except TransientError as error:
            return self._failed(submission, error, held)

    def _take_in(self, submission: Submission, part: Path, held: "_Held") -> Received:
        try:
            changed_s = self._bring(submission, part, held)
        except PermanentError as error:
            Kept(submission, part).end()
            return refuse(self._ledger, submission, error)
        size = part.stat().st_size
        held.renew(size, size, STORING_S)
        received = receive(self._ledger, self._store, submission, self._rules, Kept(submission, part, changed_s))
        if received.outcome == "waiting":
            held.release(self._limits.waits_s[0] if self._limits.waits_s else 0.0)
        return received

    def _waits(self, submission: Submission) -> bool:
        with self._ledger.reading() as conn:
            return any(row.waits for row in submissions.get(conn, [submission.id]))

    def _bring(self, submission: Submission, part: Path, held: "_Held") -> float | None:
        fetcher = self._fetchers.get(scheme_of(submission.uri))
        if fetcher is None:
            raise PermanentError(
                "scheme_not_supported", f"{submission.file_name} lies where nothing is fetched from here; upload it."
            )
        until = time.monotonic() + self._limits.timeout_s
        try:
            return fetcher.fetch(
                Order(submission.uri, submission.file_name, part, self._rules.limits, until, held.on_progress)
            )
        except DiaryError:
            raise
        except Exception as error:
            # A defect that one odd server brings out must not be hidden, nor hold up the addresses behind it.
            logger.exception("fetch_failed", submission=submission.id)
            raise PermanentError(
                "fetch_failed", f"{submission.file_name} could not be fetched ({type(error).__name__}, see the log)."
            ) from error

    def _failed(self, submission: Submission, error: TransientError, held: "_Held") -> Received | None:
        if submission.attempts >= len(self._limits.waits_s):
            with part_of(self._rules.scratch, submission.id) as part:
                Kept(submission, part).end()
            return refuse(self._ledger, submission, error)
        wait_s = self._limits.waits_s[submission.attempts]
        held.release(wait_s, failed=error)
        logger.warning("fetch_pauses", submission=submission.id, code=error.code, wait_s=wait_s)
        return Received(submission.id, submission.file_name, "waiting", code=error.code, message=error.message)


class _Held:
    """A lease that is renewed as the bytes come in."""

    def __init__(self, ledger: Ledger, lease: FetchLease, stopping: threading.Event) -> None:
        self._ledger, self._lease, self._stopping = ledger, lease, stopping
        self._told_at = -1e9

    def on_progress(self, received: int, expected: int | None) -> None:
        """Say how far it is, now and then; raise Stopped or Fenced when it must not go on."""
        if self._stopping.is_set():
            raise Stopped("stopped", "This worker stops; the rest is fetched later.")
        if time.monotonic() - self._told_at < _TOLD_EVERY_S:
            return
        try:
            self.renew(received, expected, LEASE_S)
        except Fenced:
            raise
        except (
            Exception
        ) as error:  # whatever a driver raises: no fault of the address, which must not be refused for it
            raise ServiceMissing("ledger_unreachable", "The ledger does not answer; what came is kept.") from error

    def renew(self, received: int, expected: int | None, lease_s: float) -> None:
        self._lease = fetching.renew(self._ledger, self._lease, lease_s, received, expected)
        self._told_at = time.monotonic()

    def release(self, wait_s: float = 0.0, *, failed: DiaryError | None = None) -> None:
        fetching.release(self._ledger, self._lease, wait_s, failed=failed)
