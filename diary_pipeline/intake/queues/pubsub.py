"""Announcements in a Google Cloud Pub/Sub subscription, pulled in slices: what GCS tells of uploads, and own messages.

Topics and subscriptions are made by whoever deploys. Dead letters are published by us to a topic of their own, because
the subscription's own policy says no reason; who sets that policy too has deliveries counted, others have none.

What surprises: an emulator that is started anew numbers messages from 1 again, so a message is known by its number and
the time it was published. And a pull that nobody answers in time is no error: the subscription is empty.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.intake.queues.protocol import AGAIN_AFTER_S, Message

LEAST_WAIT_S = 1.0
"""A pull that is given up sooner may be handed messages that it never sees, and they wait for their deadline."""
ANSWER_S = 10.0
MOST_AT_ONCE = 1000
# The SDK would try for a minute, which a tick has not: what was not acknowledged comes again.
_ONCE: dict[str, Any] = {"timeout": ANSWER_S, "retry": None}
_LONGEST_REASON = 1000  # bytes; an attribute holds 1,024


class PubSubQueue:
    """One subscription; see UploadNotifications for the promises."""

    def __init__(
        self, project: str, subscription: str, dead_letter_topic: str, *, again_after_s: float = AGAIN_AFTER_S
    ) -> None:
        """Connect at the first use; `again_after_s` is at most 600."""
        self._project = project
        self._subscription = f"projects/{project}/subscriptions/{subscription}"
        self._dead = f"projects/{project}/topics/{dead_letter_topic}"
        self._again_after_s = round(again_after_s)
        self._lock = threading.Lock()
        self._subscriber: Any = None
        self._publisher: Any = None
        self.name = f"Pub/Sub {self._subscription}"

    def pull(self, limit: int, wait_s: float = 0.0) -> Sequence[Message]:
        """Pull once."""
        with self._answers():
            from google.api_core.exceptions import DeadlineExceeded

            wanted = {"subscription": self._subscription, "max_messages": min(limit, MOST_AT_ONCE)}
            try:
                answer = self._client().pull(request=wanted, timeout=max(wait_s, LEAST_WAIT_S), retry=None)
            except DeadlineExceeded:
                return []
        return [_message(received) for received in answer.received_messages]

    def keep(self, messages: Sequence[Message]) -> None:
        """Move their deadlines."""
        self._due(messages, round(AGAIN_AFTER_S))

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge."""
        if messages:
            ids = [m.receipt for m in messages]
            with self._answers():
                self._client().acknowledge(subscription=self._subscription, ack_ids=ids, **_ONCE)

    def later(self, messages: Sequence[Message]) -> None:
        """Let their deadlines run out, those of the subscription's own choice being too short or too long."""
        self._due(messages, self._again_after_s)

    def bury(self, message: Message, code: str, reason: str) -> None:
        """Publish to the topic of dead letters, then acknowledge; a crash between the two leaves it in both."""
        said = {**message.attributes, "dead_code": code, "dead_reason": _cut(reason), "dead_id": message.id}
        with self._answers():
            with self._lock:
                if self._publisher is None:
                    from google.cloud import pubsub_v1

                    self._publisher = pubsub_v1.PublisherClient()
            self._publisher.publish(self._dead, message.body, **said).result(timeout=ANSWER_S)
        self.ack([message])

    def state(self) -> str:
        """Look at the subscription and at the topic of dead letters."""
        with self._answers():
            from google.cloud import pubsub_v1

            found = self._client().get_subscription(subscription=self._subscription, **_ONCE)
            with pubsub_v1.PublisherClient() as publisher:
                publisher.get_topic(topic=self._dead, **_ONCE)
        counted = "counts deliveries" if found.dead_letter_policy.dead_letter_topic else "counts no deliveries"
        return f"{self.name} of {found.topic} answers and {counted}; dead letters go to {self._dead}."

    def close(self) -> None:
        """Close the channels."""
        with self._lock:
            for client, end in ((self._subscriber, "close"), (self._publisher, "stop")):
                if client is not None:
                    getattr(client, end)()
            self._subscriber = self._publisher = None

    def _due(self, messages: Sequence[Message], in_s: int) -> None:
        if messages:
            ids = [m.receipt for m in messages]
            with self._answers():
                self._client().modify_ack_deadline(
                    subscription=self._subscription, ack_ids=ids, ack_deadline_seconds=in_s, **_ONCE
                )

    def _client(self) -> Any:
        with self._lock:
            if self._subscriber is None:
                from google.cloud import pubsub_v1

                self._subscriber = pubsub_v1.SubscriberClient()
            return self._subscriber

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            from google.api_core.exceptions import GoogleAPIError, NotFound, PermissionDenied
            from google.auth.exceptions import GoogleAuthError
        except ModuleNotFoundError as error:
            raise ServiceMissing(
                "queue_unreachable", f"{self.name} needs the Python package {error.name}: install diary-pipeline[gcp]."
            ) from error
        try:
            yield
        except NotFound as error:
            raise ServiceMissing(
                "queue_unreachable",
                f"{self._subscription} or {self._dead} is not there: create both, see docs/queues.md.",
            ) from error
        except PermissionDenied as error:
            raise ServiceMissing(
                "queue_unreachable",
                f"{self.name} may not be used with these credentials: give them the roles Pub/Sub Subscriber, and "
                "Pub/Sub Publisher on the topic of dead letters.",
            ) from error
        except (GoogleAPIError, GoogleAuthError, TimeoutError, OSError) as error:
            raise ServiceMissing(
                "queue_unreachable", f"{self.name} does not answer ({type(error).__name__}); it is asked again."
            ) from error


def _message(received: Any) -> Message:
    sent = received.message
    published = sent.publish_time.isoformat() if sent.publish_time else ""
    return Message(
        id=f"{sent.message_id} {published}",
        body=bytes(sent.data),
        attributes=dict(sent.attributes),
        deliveries=int(received.delivery_attempt) or None,
        receipt=received.ack_id,
    )


def _cut(reason: str) -> str:
    return reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
