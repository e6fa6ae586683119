"""The one sender of webhooks: runs inside `diary api`, works off the outbox, signs, tries again, gives up.

Which row is whose, and in what order, is ledger/deliveries.py's business; which addresses may be asked is the guard's.
The promise is at-least-once: whoever dies between the receiver's answer and our note of it sends the same delivery
again, under the same id. The surprise: redirects are not followed, because a receiver that moves should say so to
whoever submits, and because the body would go where nobody asked for it.
"""

import email.utils
import hashlib
import hmac
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from diary_pipeline.api.parts import Parts
from diary_pipeline.core.errors import DiaryError, PermanentError
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.deliveries import Delivery, delivered, forget_old, give_up, put_off, take_due
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.private import secret_in
from diary_pipeline.wiring.deployment import WEBHOOK_KEY_FILE

POLL_S = 1.0
AT_ONCE = 16
PER_HOST = 2
"""Calls under way to one receiver: a dead one holds two of sixteen for the time of a call, and the others go on."""
FIRST_PAUSE_S, GROWTH, LONGEST_PAUSE_S = 10.0, 3.0, 3_600.0
LONGEST_WISH_S = 86_400.0
"""Longest Retry-After that is taken at its word."""
KEPT_S = 30 * 86_400.0
"""Seconds for which events that were delivered or given up can be sent again."""
_SWEEP_S = 3_600.0
_HOPELESS = ("410", "event_unsendable")
"""Answers after which no other call is made; an address that our guard refuses is none: other replicas may allow it."""
logger = log(__name__)


@dataclass(frozen=True)
class Sending:
    """How calls are made."""

    secrets: Sequence[str]
    """Each signs; two while receivers change from one to the other."""
    timeout_s: float
    """Of a whole call."""
    attempts: int
    """After so many it is given up."""


def signature(secrets: Sequence[str], body: bytes, at: int) -> str:
    """Return the X-Diary-Signature header: the second of signing, and an HMAC-SHA256 of `<second>.<body>` by each."""
    signed = b"%d." % at + body
    marks = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={mark}" for mark in marks)])


def pause_s(attempts: int, chance: float) -> float:
    """Return the seconds to wait after so many attempts in vain; `chance`, 0 to 1, spreads them by a fifth each way."""
    usual = min(FIRST_PAUSE_S * GROWTH ** (attempts - 1), LONGEST_PAUSE_S)
    return usual * (0.8 + 0.4 * chance)


class Sender:
    """Sends until it is stopped; of the senders of many replicas each sends what no other is at."""

    def __init__(
        self,
        ledger: Ledger,
        http_for: Callable[[Delivery], GuardedHttp],
        sending: Sending,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`http_for`: an event of the deployment goes where its operator said, one of a job only to public hosts."""
        self._ledger = ledger
        self._http_for = http_for
        self._sending = sending
        self._clock = clock
        self._busy: Counter[str] = Counter()
        self._served = ""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the calls that are under way."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def send_due(self, pool: ThreadPoolExecutor) -> int:
        """Begin to send what is due and has room, and return how many that are."""
        with self._lock:
            busy = dict(self._busy)
        some, self._served = take_due(
            self._ledger,
            limit=AT_ONCE - sum(busy.values()),
            per_host=PER_HOST,
            lease_s=2 * self._sending.timeout_s + 5.0,
            busy=busy,
            after=self._served,
        )
        with self._lock:
            self._busy.update(delivery.host for delivery in some)
        for delivery in some:
            pool.submit(self._send, delivery)
        return len(some)

    def _run(self) -> None:
        swept_at = float("-inf")
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
            while not self._stopped.is_set():
                self._wake.clear()
                try:
                    self.send_due(pool)
                    if time.monotonic() - swept_at > _SWEEP_S:
                        swept_at = time.monotonic()
                        forget_old(self._ledger, KEPT_S)
                except Exception as error:  # noqa: BLE001 - a ledger that is away for a while must not end the sender
                    logger.warning("webhooks_waiting", error=type(error).__name__)
                self._wake.wait(POLL_S)

    def _send(self, delivery: Delivery) -> None:
        try:
            self._settle(delivery, *self._asked(delivery))
        except Exception as error:  # noqa: BLE001 - its lease runs out, and it is sent again
            logger.warning("webhook_not_settled", event=delivery.event, error=type(error).__name__)
        finally:
            with self._lock:
                self._busy -= Counter([delivery.host])
            self._wake.set()

    def _asked(self, delivery: Delivery) -> tuple[int | DiaryError, float | None]:
        """Make the call; give the status, or what kept it from being made, and the Retry-After of the answer."""
        try:
            body = json.dumps(delivery.body, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            return PermanentError("event_unsendable", "The event holds half a character; nobody could read it."), None
        at = self._clock()
        headers = {
            "Content-Type": "application/json",
            "X-Diary-Event": delivery.event,
            "X-Diary-Delivery": str(delivery.body["id"]),
            "X-Diary-Signature": signature(self._sending.secrets, body, int(at)),
        }
        until = time.monotonic() + self._sending.timeout_s
        try:
            with self._http_for(delivery).ask(
                "POST", delivery.url, headers=headers, content=body, until=until
            ) as answer:
                return answer.status, _wished_s(answer.headers, at)
        except DiaryError as error:
            return error, None

    def _settle(self, delivery: Delivery, came: int | DiaryError, wished_s: float | None) -> None:
        answer = came.code if isinstance(came, DiaryError) else str(came)
        if not isinstance(came, DiaryError) and came // 100 == 2:
            delivered(self._ledger, delivery, answer)
            return
        told = {"event": delivery.event, "host": delivery.host, "answer": answer, "attempts": delivery.attempts}
        if answer in _HOPELESS or delivery.attempts >= self._sending.attempts:
            give_up(self._ledger, delivery, answer)
            logger.warning("webhook_given_up", **told)
            return
        # Where jitter is no secret: it spreads receivers that fell over together.
        pause = max(pause_s(delivery.attempts, random.random()), wished_s or 0.0)
        put_off(self._ledger, delivery, answer, pause)
        logger.info("webhook_put_off", **told, pause_s=round(pause))


def sender_of(parts: Parts) -> Sender:
    """Make the sender of a deployment."""
    s = parts.settings
    to_strangers = GuardedHttp(parts.callbacks)
    # Its operator knows where this one leads, which is often a machine of their own network.
    operators_own = urlsplit(s.run_failure_webhook or "").netloc.rpartition("@")[2]
    to_operator = GuardedHttp(Guard(allowed=(*parts.callbacks.allowed, *filter(None, [operators_own]))))
    secrets = s.webhook_secret or (secret_in(s.home / WEBHOOK_KEY_FILE),)
    return Sender(
        parts.ledger,
        lambda delivery: to_operator if delivery.submission_id is None else to_strangers,
        Sending(secrets, s.webhook_timeout_s, s.webhook_attempts),
    )


def _wished_s(headers: Mapping[str, str], at: float) -> float | None:
    """Read Retry-After: seconds, or a date of HTTP."""
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return min(float(said), LONGEST_WISH_S)
    try:
        return min(max(email.utils.parsedate_to_datetime(said).timestamp() - at, 0.0), LONGEST_WISH_S)
    except (TypeError, ValueError):
        return None
