"""Intake as a worker: look into the watched folders, then work off what was submitted, within a budget.

Called in slices by the `uploads` tick, by `diary ingest`, by `diary watch` and by any number of workers at once; the
queue is the ledger's, so it does not matter who submitted. What is far is fetched beside it all, see fetch.py. The
surprise: no slice holds a lease on what is here. Two workers on one file cost double reading and end as one recording,
and a worker that meets another parts from it.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.catalogue.commit import commit_refusals
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake import resumable
from diary_pipeline.intake.fetch import Fetching, FetchLimits
from diary_pipeline.intake.fetcher import Fetcher
from diary_pipeline.intake.options import Options
from diary_pipeline.intake.parts import KEPT_S, sweep_parts
from diary_pipeline.intake.receive import Received, Rules, receive
from diary_pipeline.intake.scratch import sweep_scratch
from diary_pipeline.intake.sources import Walk, WatchedFolder
from diary_pipeline.intake.submit import submit_found, submit_paths
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.planner import STEP_S
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

_STAGED_S = 6 * 3600.0  # no copy of one file takes that long; what is older was left by a killed process
_REFUSALS_IN_COMMIT = 1_000
_PATIENCE_S = 1.0
"""So long a slice waits for what is being fetched: the usual address has answered by then."""
_LOOK_S = 0.5
_AT_ONCE = 50
"""Submissions asked of the ledger at once: a slice has time for hundreds, and others take some of them meanwhile."""
logger = log(__name__)


@dataclass(frozen=True)
class IntakeReport:
    """What one slice did."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    waiting: int = 0
    """Files that are changing or out of reach; a later slice looks again."""
    left: int = 0
    """Submissions this slice did not come to; a lower bound: 0 or more than 0 is what counts."""
    fetching: int = 0
    """Addresses whose bytes are on the way while nobody waits for them."""


class Intake:
    """The door of the product; keeps nothing but where it looks next."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        *,
        owners: Callable[[str], Owner],
        limits: AudioLimits,
        default_model: str,
        allowed_models: Collection[str],
        seal: Seal,
        scratch: Path,
        fetchers: Mapping[str, Fetcher] | None = None,
        fetching: FetchLimits | None = None,
        settle_s: float = 2.0,
        step_s: float = STEP_S,
        exclude: Sequence[Path] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what the deployment decides.

        `seal`: what tombstones were made with. `scratch`: a private local folder with room for the largest file, and
        for as many more as are fetched at once. `fetchers`: by scheme.
        `settle_s`: how long a file in a watched folder must rest. `step_s`: of waiting, which lifts by one priority.
        `exclude`: our own roots without marker, see scan().
        """
        self._ledger = ledger
        self._store = store
        self._rules = Rules(owners, limits, default_model, frozenset(allowed_models), seal, scratch)
        self._fetchers = fetchers or {}
        self._fetching = Fetching(ledger, store, self._rules, self._fetchers, fetching or FetchLimits())
        self._settle_s = settle_s
        self._step_s = step_s
        self._clock = clock
        self._exclude = exclude
        self._restless: set[str] = set()
        self._walks: dict[WatchedFolder, Walk] = {}

    def submit(
        self,
        paths: Iterable[str | Path],
        owner: str,
        source: str,
        options: Mapping[str, object],
        *,
        priority: str = "medium",
    ) -> list[str]:
        """Submit what somebody named, see submit_paths; a model that is not offered is refused here."""
        return submit_paths(
            self._ledger,
            paths,
            owner,
            source,
            options,
            priority=priority,
            allowed_models=self._rules.allowed_models,
            exclude=self._exclude,
            fetchers=self._fetchers,
        )

    def scan(self, folders: Iterable[WatchedFolder], max_files: int = 1_000, budget_s: float = 10.0) -> list[str]:
        """Submit new and changed files of the watched folders, at most `max_files`; return the new submissions.

        What the time did not reach is looked at by the next call; folders that had to wait come first.
        """
        deadline = time.monotonic() + budget_s
        watched = list(folders)
        left, self._walks = self._walks, {}
        walks = {folder: walk for folder, walk in left.items() if folder in watched}
        for folder in watched:
            if folder not in walks:
                walks[folder] = Walk(folder, self._settle_s, self._clock, self._exclude)
        new: list[str] = []
        for n, (folder, walk) in enumerate(walks.items()):
            if len(new) < max_files and (n == 0 or time.monotonic() < deadline):
                submitted = submit_found(
                    self._ledger,
                    walk.until(deadline),
                    folder.owner,
                    "folder",
                    _wanted(folder),
                    most=max_files - len(new),
                )
                new += [id for id, fresh in submitted if fresh]
                if len(new) >= max_files:
                    continue  # submit_found had looked ahead: this folder begins anew
            if not walk.ended:
                self._walks[folder] = walk
        if new:
            logger.info("found_in_folders", submissions=len(new))
        return new

    def work(
        self,
        budget_s: float,
        max_files: int,
        on_submission: Callable[[Received], None] = lambda _: None,
        *,
        ids: Sequence[str] | None = None,
        until: Callable[[], bool] = lambda: False,
    ) -> IntakeReport:
        """Accept or refuse what waits, the most urgent and oldest first, until the time or the number is used up.

        At least one file is looked at. With `ids` only these submissions are: who waits for their own files does not
        work off everybody's backlog first, and waits for their addresses too; otherwise what is being fetched goes on
        when the slice is over. `until`: asked between two files; True ends the slice. Refusals reach the catalogue in
        one commit at the end; those of a call that was killed, with the next one.
        """
        deadline = time.monotonic() + budget_s
        self._sweep()
        counts = dict.fromkeys(("accepted", "duplicate", "refused", "waiting"), 0)

        def count(received: Received) -> None:
            counts[received.outcome] += 1
            on_submission(received)

        near, far = self._queues(max_files, ids)
        looked_at: set[str] = set()
        done = 0
        while near and done < max_files and (done == 0 or time.monotonic() < deadline) and not until():
            self._fetch(far, count)
            submission = near.pop(0)
            looked_at.add(submission.id)
            if self._is_waiting(submission):
                received = receive(self._ledger, self._store, submission, self._rules)
                done += 1
                (self._restless.add if received.outcome == "waiting" else self._restless.discard)(submission.id)
                count(received)
            else:
                random.shuffle(near)  # another worker is going down the same list
            if not near and ids is None:
                near = self._near(max_files - done, looked_at)
        self._fetch_on(far, count, deadline, until, mine=ids is not None)
        self._commit_refusals()
        left, under_way = len(near) + len(far), self._fetching.under_way
        return IntakeReport(
            counts["accepted"], counts["duplicate"], counts["refused"], counts["waiting"], left, under_way
        )

    @property
    def is_looking(self) -> bool:
        """Some watched folder has not been looked through since the last scan of it began."""
        return bool(self._walks)

    def stop(self) -> None:
        """End the fetches of this process; what they have is kept, and anybody may go on with it at once."""
        self._fetching.stop()

    def _queues(self, limit: int, ids: Sequence[str] | None) -> tuple[list[Submission], deque[Submission]]:
        if ids is None:
            return self._near(limit, ()), deque(self._waiting(min(limit, _AT_ONCE), far=True))
        with self._ledger.reading() as conn:
            mine = [s for s in submissions.get(conn, ids) if s.waits]
        return [s for s in mine if s.is_near], deque(s for s in mine if s.is_far)

    def _near(self, limit: int, looked_at: Collection[str]) -> list[Submission]:
        """Return what comes next, and one more than there is to do, which shows that something is left."""
        found = self._waiting(min(limit, _AT_ONCE) + 1 + len(self._restless))
        new = [s for s in found if s.id not in looked_at]
        # A file that never rests must not keep the others from their turn.
        return [s for s in new if s.id not in self._restless] or new

    def _waiting(self, limit: int, *, far: bool = False) -> list[Submission]:
        with self._ledger.reading() as conn:
            return submissions.waiting(conn, limit, far=far, step_s=self._step_s)

    def _fetch_on(
        self,
        far: deque[Submission],
        count: Callable[[Received], None],
        deadline: float,
        until: Callable[[], bool],
        *,
        mine: bool,
    ) -> None:
        """Stay as long as fetches end one after the other; with `mine` until all have ended."""
        patient = time.monotonic() + _PATIENCE_S
        ended = self._fetch(far, count)
        while (far or self._fetching.under_way) and time.monotonic() < deadline and not until():
            ended = self._fetch(far, count, min(_LOOK_S, max(0.0, deadline - time.monotonic())))
            if ended:
                patient = time.monotonic() + _PATIENCE_S
            if not mine and time.monotonic() >= patient:
                return
            if ended and not far and not mine:
                far.extend(self._waiting(_AT_ONCE, far=True))

    def _fetch(self, far: deque[Submission], count: Callable[[Received], None], wait_s: float = 0.0) -> int:
        """Begin as many fetches as there is room for, count those that have ended, and return how many."""
        while far and self._fetching.free > 0:
            self._fetching.begin(far.popleft())
        ended = list(self._fetching.ended(wait_s))
        for received in ended:
            count(received)
        return len(ended)

    def _is_waiting(self, submission: Submission) -> bool:
        return bool(self._waiting_of([submission.id]))

    def _waiting_of(self, ids: Sequence[str]) -> set[str]:
        with self._ledger.reading() as conn:
            return {row.id for row in submissions.get(conn, ids) if row.waits}

    def _commit_refusals(self) -> None:
        with self._ledger.reading() as conn:
            ids = submissions.refused_uncommitted(conn, _REFUSALS_IN_COMMIT)
        if ids:
            commit_refusals(self._ledger, self._store, ids)

    def _sweep(self) -> None:
        sweep_scratch(self._rules.scratch)
        sweep_parts(self._rules.scratch, KEPT_S, self._waiting_of)
        self._store.sweep(_STAGED_S)
        resumable.sweep(self._ledger, self._store)


def _wanted(folder: WatchedFolder) -> Options:
    wishes = {name: getattr(folder, name) for name in ("language", "whisper_model", "tags", "vocabulary")}
    return Options.read(wishes)
