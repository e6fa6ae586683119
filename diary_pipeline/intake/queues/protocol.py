"""What is asked of a queue that announces uploads, whichever it is.

A queue hands out at least once: what is not acknowledged comes again, here or to another worker. What a message says is
messages.py's business, what becomes of it listen.py's. The surprise: a message that nobody can understand is not lost
either; `bury` keeps it among the queue's dead letters, with the reason, before it is acknowledged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MOST_DELIVERIES = 5
"""A message that cannot be understood is tried so often before it is buried: a new release or a rule for its bucket may
be on its way. Five is also the least that Pub/Sub's own dead-letter policy allows."""
AGAIN_AFTER_S = 60.0
"""What was handed out and not acknowledged for so long is handed out again."""


@dataclass(frozen=True)
class Message:
    """One delivery of a message."""

    id: str
    """The queue's own, the same at each delivery and never used for another message."""
    body: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    deliveries: int | None = 1
    """How often it was handed out, this time included; None: the queue does not count."""
    receipt: str = ""
    """What acknowledges this delivery."""


class UploadNotifications(Protocol):
    """A queue of announcements; ServiceMissing `queue_unreachable` when it cannot be used just now.

    Safe to share between threads.
    """

    name: str
    """Where it is, for people and for ids of messages; holds no secret."""

    def pull(self, limit: int, wait_s: float = 0.0) -> Sequence[Message]:
        """Give at most so many messages, abandoned ones first; wait about so long for the first one."""

    def keep(self, messages: Sequence[Message]) -> None:
        """Say that they are still being worked on, so that nobody else is handed them."""

    def ack(self, messages: Sequence[Message]) -> None:
        """Let go of messages that are durable elsewhere."""

    def later(self, messages: Sequence[Message]) -> None:
        """Have messages handed out again in a while."""

    def bury(self, message: Message, code: str, reason: str) -> None:
        """Keep a message among the dead letters, with the reason, and only then let go of it."""

    def state(self) -> str:
        """Say in a sentence that it can be used; ServiceMissing when it cannot, dead letters included."""

    def close(self) -> None:
        """Close its connections."""
