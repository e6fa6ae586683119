"""What is new, wherever it comes from: the queue, the buckets and the folders are asked in turn, each within a budget.

Called by the `uploads` tick and by `diary watch`. The surprise: one that cannot be reached is logged and named, and the
others are asked all the same; whoever calls decides whether that is an error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diary_pipeline.core.errors import DiaryError
from diary_pipeline.intake.bucket_scan import BucketScan
from diary_pipeline.intake.listen import listen
from diary_pipeline.intake.queues.messages import Admission
from diary_pipeline.intake.queues.protocol import UploadNotifications
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.observability.logs import log

FOLDERS_S = 10.0
"""Seconds for the folders."""
logger = log(__name__)


@dataclass(frozen=True)
class Arrived:
    """What one look found."""

    new: int = 0
    """Submissions that were not there before."""
    troubles: tuple[DiaryError, ...] = ()
    """Of the ways in that could not be asked."""


@dataclass(frozen=True)
class Arrivals:
    """The ways in of one deployment that have to be asked."""

    ledger: Ledger
    intake: Intake
    folders: Sequence[WatchedFolder]
    queue: UploadNotifications | None
    admission: Admission
    buckets: BucketScan
    budget_s: float
    """For the queue, and as much for the buckets."""
    max_messages: int
    bucket_pages: int

    def look(self, wait_s: float = 0.0, folders_s: float = FOLDERS_S) -> Arrived:
        """Ask each for what is new; wait about `wait_s` for the queue's first message."""
        ways: tuple[Callable[[], int], ...] = (
            lambda: self._listen(wait_s),
            lambda: self.buckets.look(self.budget_s, self.bucket_pages).new,
            lambda: len(self.intake.scan(self.folders, budget_s=folders_s)),
        )
        new, troubles = 0, []
        for look in ways:
            try:
                new += look()
            except DiaryError as error:
                logger.warning("way_in_unreachable", code=error.code)
                troubles.append(error)
        return Arrived(new, tuple(troubles))

    def _listen(self, wait_s: float) -> int:
        if self.queue is None:
            return 0
        heard = listen(
            self.ledger,
            self.queue,
            self.admission,
            budget_s=self.budget_s,
            max_messages=self.max_messages,
            wait_s=wait_s,
        )
        return heard.new
