"""Webhooks are signed, sent at least once, tried again or given up, and a killed sender loses none."""

import hashlib
import hmac
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import pytest
import sqlalchemy as sa

from diary_pipeline.api.webhooks import LONGEST_WISH_S, PER_HOST, Sender, Sending, pause_s, signature
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.outbox import put
from diary_pipeline.ledger.statements import now
from diary_pipeline.ledger.tables_jobs import outbox
from diary_pipeline_tests.contract.test_deliveries import pass_by
from diary_pipeline_tests.receiver import Receiver, receiving

SECRET, NEXT = "a secret of the tests", "its successor in tests"
ATTEMPTS = 5


@pytest.fixture
def own_ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def sender(ledger: Ledger, receiver: Receiver, *, allowed: bool = True, timeout_s: float = 5.0) -> Sender:
    """A sender that may call the receiver on loopback."""
    http = GuardedHttp(Guard(allowed=receiver.hosts if allowed else (), ports=(80, 443, receiver.port)))
    return Sender(ledger, lambda _: http, Sending((SECRET, NEXT), timeout_s, ATTEMPTS))


def send(sender: Sender) -> int:
    """Send what is due now and wait for the answers."""
    with ThreadPoolExecutor(4) as pool:
        return sender.send_due(pool)


def told(ledger: Ledger, url: str, **body: object) -> None:
    """Put an event."""
    with ledger.writing() as tx:
        put(tx, "job.completed", url, body)


def row(ledger: Ledger) -> sa.Row[tuple[object, ...]]:
    """Return the one event."""
    with ledger.reading() as conn:
        return conn.execute(sa.select(outbox)).one()


def wait_s(ledger: Ledger) -> float:
    """Return the seconds until it is tried again."""
    with ledger.reading() as conn:
        return float(row(ledger).next_at) - now(conn)


def test_what_is_sent_is_signed_with_every_secret_and_names_event_and_delivery(
    own_ledger: Ledger, receiver: Receiver
) -> None:
    told(own_ledger, receiver.url, metadata={"name": "ä"})
    assert send(sender(own_ledger, receiver)) == 1
    [call] = receiver.calls
    assert (call.path, call.headers["Content-Type"]) == ("/told", "application/json")
    assert (call.headers["X-Diary-Event"], call.delivery) == ("job.completed", call.body["id"])
    assert call.body["metadata"] == {"name": "ä"}
    t, *marks = call.headers["X-Diary-Signature"].split(",")
    assert abs(int(t.removeprefix("t=")) - time.time()) < 60
    signed = t.removeprefix("t=").encode() + b"." + call.raw
    assert marks == [f"v1={hmac.new(s.encode(), signed, hashlib.sha256).hexdigest()}" for s in (SECRET, NEXT)]
    assert (row(own_ledger).last_answer, row(own_ledger).delivered_at is not None) == ("200", True)
    assert send(sender(own_ledger, receiver)) == 0


def test_a_signature_is_the_one_that_the_page_describes() -> None:
    assert signature(["k"], b"{}", 5) == "t=5,v1=" + hmac.new(b"k", b"5.{}", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("status", "headers", "within_s"),
    [
        (500, {}, (8, 12)),
        (404, {}, (8, 12)),
        (429, {"Retry-After": "120"}, (115, 121)),
        (503, {"Retry-After": "1"}, (8, 12)),
        (503, {"Retry-After": formatdate(time.time() + 600, usegmt=True)}, (400, 601)),
        (503, {"Retry-After": "99999999"}, (LONGEST_WISH_S - 5, LONGEST_WISH_S)),
        (503, {"Retry-After": "soon"}, (8, 12)),
        (302, {"Location": "https://elsewhere.example/"}, (8, 12)),
    ],
)
def test_any_answer_but_success_is_tried_again_after_a_pause(
    own_ledger: Ledger,
    receiver: Receiver,
    status: int,
    headers: Mapping[str, str],
    within_s: tuple[float, float],
) -> None:
    told(own_ledger, receiver.url)
    receiver.answers.append((status, headers))
    began = time.monotonic()
    send(sender(own_ledger, receiver))
    shortest_s, longest_s = within_s
    left_s = wait_s(own_ledger)  # of the pause: less by the time since, on a busy machine by a minute
    assert shortest_s - 1 - (time.monotonic() - began) <= left_s <= longest_s
    assert (row(own_ledger).last_answer, row(own_ledger).given_up_at) == (str(status), None)
    pass_by(own_ledger, longest_s)
    send(sender(own_ledger, receiver))
    assert row(own_ledger).delivered_at is not None
    assert len({call.delivery for call in receiver.calls}) == 1, "the same id both times"


@pytest.mark.parametrize(
    ("attempts", "usual"), [(1, 10.0), (2, 30.0), (3, 90.0), (6, 2_430.0), (7, 3_600.0), (30, 3_600.0)]
)
def test_pauses_grow_to_an_hour_and_are_spread_by_a_fifth(attempts: int, usual: float) -> None:
    spread = [pause_s(attempts, chance) for chance in (0, 0.5, 1)]
    assert spread == pytest.approx([0.8 * usual, usual, 1.2 * usual])


def test_a_receiver_that_is_gone_is_given_up_at_once(own_ledger: Ledger, receiver: Receiver) -> None:
    told(own_ledger, receiver.url)
    receiver.answers.append((410, {}))
    send(sender(own_ledger, receiver))
    assert (row(own_ledger).last_answer, row(own_ledger).given_up_at is not None) == ("410", True)


def test_an_event_that_cannot_be_written_down_is_given_up_at_once(own_ledger: Ledger, receiver: Receiver) -> None:
    told(own_ledger, receiver.url, metadata="\ud800")
    send(sender(own_ledger, receiver))
    assert (row(own_ledger).last_answer, row(own_ledger).given_up_at is not None) == ("event_unsendable", True)


def test_after_the_last_attempt_it_is_given_up_and_stays_to_be_seen(own_ledger: Ledger, receiver: Receiver) -> None:
    told(own_ledger, receiver.url)
    receiver.answers.extend([(500, {})] * 9)
    for _ in range(9):
        send(sender(own_ledger, receiver))
        pass_by(own_ledger, 9_999)
    assert len(receiver.calls) == ATTEMPTS
    assert (row(own_ledger).attempts, row(own_ledger).given_up_at is not None) == (ATTEMPTS, True)


def test_a_private_address_is_called_by_a_replica_alone_that_may(own_ledger: Ledger, receiver: Receiver) -> None:
    told(own_ledger, receiver.url)
    send(sender(own_ledger, receiver, allowed=False))
    assert receiver.calls == []
    assert (row(own_ledger).last_answer, row(own_ledger).given_up_at) == ("url_forbidden_address", None)
    pass_by(own_ledger, 60)
    send(sender(own_ledger, receiver))
    assert row(own_ledger).delivered_at is not None


def test_a_receiver_that_is_away_is_tried_again(own_ledger: Ledger) -> None:
    with receiving() as gone:
        told(own_ledger, gone.url)
    send(sender(own_ledger, gone))
    assert (row(own_ledger).last_answer, row(own_ledger).given_up_at) == ("url_unreachable", None)


def test_a_slow_receiver_holds_up_nobody_else(own_ledger: Ledger, receiver: Receiver) -> None:
    receiver.held.clear()
    for _ in range(5):
        told(own_ledger, receiver.slow_url)
    told(own_ledger, receiver.url)
    with sender(own_ledger, receiver):
        assert receiver.wait_for("/told")
        assert [call.path for call in receiver.calls].count("/slow") <= PER_HOST
        receiver.held.set()


def test_a_killed_sender_loses_nothing_and_sends_what_was_under_way_again_under_its_id(
    own_ledger: Ledger, receiver: Receiver
) -> None:
    expected = 12
    for n in range(expected):
        told(own_ledger, receiver.url, n=n)
    told(own_ledger, receiver.slow_url)
    receiver.held.clear()
    url = own_ledger.engine.url.render_as_string()
    command = [sys.executable, "-m", "diary_pipeline_tests.webhook_sender", url]
    first = subprocess.Popen([*command, *receiver.hosts], stdout=subprocess.PIPE)
    try:
        assert receiver.wait_for("/slow")
    finally:
        first.kill()  # SIGKILL: the call has come and nobody has noted what was answered
        first.communicate()
    receiver.held.set()
    [under_way] = {call.delivery for call in receiver.calls if call.path == "/slow"}
    pass_by(own_ledger, 9_999)
    with sender(own_ledger, receiver):
        deadline = time.monotonic() + 30
        while _unsent(own_ledger) and time.monotonic() < deadline:
            receiver.came.wait(1)
            receiver.came.clear()
    assert _unsent(own_ledger) == 0
    assert len({call.delivery for call in receiver.calls}) == expected + 1
    assert [call.delivery for call in receiver.calls if call.path == "/slow"] == [under_way, under_way]


def _unsent(ledger: Ledger) -> int:
    with ledger.reading() as conn:
        return int(conn.execute(sa.select(sa.func.count()).where(outbox.c.delivered_at.is_(None))).scalar_one())
