"""A message that the ledger cannot hold is buried by itself; those that came with it are taken in."""

from collections.abc import Collection, Sequence
from pathlib import Path

from diary_pipeline.intake.listen import Heard, listen
from diary_pipeline.intake.queues.protocol import Message
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline_tests.announcing import ADMISSION, notification


class Few:
    """A queue in memory that gives what was not settled again and again."""

    name = "few"

    def __init__(self, messages: Sequence[Message]) -> None:
        self.left = list(messages)
        self.buried: list[tuple[str, str]] = []

    def pull(self, limit: int, wait_s: float) -> list[Message]:
        """Give what is left."""
        return self.left[:limit]

    def keep(self, messages: Collection[Message]) -> None:
        """Nobody else asks."""

    def later(self, messages: Collection[Message]) -> None:
        """They are given again."""

    def ack(self, messages: Collection[Message]) -> None:
        """Forget them."""
        gone = {message.id for message in messages}
        self.left = [message for message in self.left if message.id not in gone]

    def bury(self, message: Message, code: str, reason: str) -> None:
        """Keep what was wrong."""
        self.buried.append((message.id, code))
        self.ack([message])


def test_one_message_that_the_ledger_cannot_hold_stops_no_other(tmp_path: Path) -> None:
    names = {"1": "anna/good.m4a", "2": "anna/half-\ud800.m4a", "3": "anna/fine.m4a"}
    queue = Few([Message(id, *notification(name, 7)) for id, name in names.items()])
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    try:
        assert listen(ledger, queue, ADMISSION, budget_s=9, max_messages=9) == Heard(new=2, buried=1)
    finally:
        ledger.close()
    assert (queue.left, queue.buried) == ([], [("2", "message_invalid")])
