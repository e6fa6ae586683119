"""From a queue to the ledger: each message becomes one submission, and is acknowledged once its row is durable.

In this order a crash costs nothing but work: what was not acknowledged comes again, and the row that it makes is there
already. What cannot be understood is buried with a reason, never dropped. The surprise: the ledger is asked before the
queue is, because a queue counts deliveries, and messages that nobody could keep would look like bad ones.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from diary_pipeline.core.errors import DiaryError, PermanentError
from diary_pipeline.intake.queues.messages import Admission, read
from diary_pipeline.intake.queues.protocol import MOST_DELIVERIES, Message, UploadNotifications
from diary_pipeline.ledger import jobs
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.database_errors import UNHOLDABLE
from diary_pipeline.ledger.jobs import NewJob, Opened
from diary_pipeline.ledger.statements import now
from diary_pipeline.observability.logs import log

AT_ONCE = 200
"""Messages in one transaction: a second's work on a slow disk, far below any deadline."""
KEEP_EVERY_S = 4.0
"""Pub/Sub's shortest deadline is ten seconds."""
_UNKEEPABLE = PermanentError("message_invalid", "The ledger cannot hold what this message says; write it anew.")
logger = log(__name__)


@dataclass(frozen=True)
class Heard:
    """What became of the messages of one slice."""

    new: int = 0
    known: int = 0
    """Announced before."""
    ignored: int = 0
    """Of no concern to us: deletions, folders, files that are no recordings."""
    buried: int = 0
    later: int = 0
    """Not understood, and given another chance."""

    def __add__(self, other: "Heard") -> "Heard":
        return Heard(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def messages(self) -> int:
        """How many there were."""
        return sum(getattr(self, name) for name in self.__dataclass_fields__)


def listen(
    ledger: Ledger,
    queue: UploadNotifications,
    admission: Admission,
    *,
    budget_s: float,
    max_messages: int,
    wait_s: float = 0.0,
    keep_every_s: float = KEEP_EVERY_S,
) -> Heard:
    """Take messages until none is left or the time or the number is used up; wait about `wait_s` for the first ones."""
    deadline = time.monotonic() + budget_s
    heard = Heard()
    while heard.messages < max_messages and (heard.messages == 0 or time.monotonic() < deadline):
        with ledger.reading() as conn:
            now(conn)
        messages = queue.pull(min(AT_ONCE, max_messages - heard.messages), 0.0 if heard.messages else wait_s)
        if not messages:
            break
        with _kept(queue, messages, keep_every_s):
            heard += _take(ledger, queue, messages, admission)
    if heard.messages:
        logger.info(
            "announced", queue=queue.name, **{name: getattr(heard, name) for name in heard.__dataclass_fields__}
        )
    return heard


def _take(ledger: Ledger, queue: UploadNotifications, messages: Sequence[Message], admission: Admission) -> Heard:
    asked: dict[str, NewJob] = {}
    done: list[Message] = []
    hopeless: list[tuple[Message, PermanentError]] = []
    hopeful: list[Message] = []
    ignored = 0
    for message in messages:
        try:
            job = read(message, admission)
        except PermanentError as error:
            if message.deliveries is None or message.deliveries >= MOST_DELIVERIES:
                hopeless.append((message, error))
            else:
                hopeful.append(message)
            continue
        done.append(message)
        if job is None:
            ignored += 1
        else:
            asked.setdefault(job.id, job)
    opened, unkept = _open(ledger, [asked[id] for id in sorted(asked)])
    if unkept:  # rare: reading them again says which message is whose
        for message in list(done):
            job = read(message, admission)
            if job is not None and job.id in unkept:
                done.remove(message)
                hopeless.append((message, _UNKEEPABLE))
    queue.ack(done)
    for message, fault in hopeless:
        queue.bury(message, fault.code, fault.message)
        logger.error("message_buried", queue=queue.name, message=message.id, code=fault.code)
    queue.later(hopeful)
    new = sum(one.is_new for one in opened)
    return Heard(new, len(done) - ignored - new, ignored, len(hopeless), len(hopeful))


def _open(ledger: Ledger, asked: Sequence[NewJob]) -> tuple[list[Opened], set[str]]:
    """Open jobs together; where the ledger cannot hold one of them, each by itself, and give the ids of those."""
    try:
        return jobs.open_jobs(ledger, asked), set()
    except UNHOLDABLE:
        if len(asked) == 1:
            return [], {asked[0].id}
    each = [_open(ledger, [job]) for job in asked]
    return [job for opened, _ in each for job in opened], {id for _, unkept in each for id in unkept}


@contextmanager
def _kept(queue: UploadNotifications, messages: Sequence[Message], every_s: float) -> Iterator[None]:
    """Keep messages from being handed to others, however long the block takes."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(every_s):
            try:
                queue.keep(messages)
            except DiaryError as error:  # they may come twice then, and find their rows
                logger.warning("messages_not_kept", queue=queue.name, code=error.code)

    thread = threading.Thread(target=renew, name="keep-messages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
