"""From an address or an upload to a recording or a refusal, through the whole door, on both ledgers."""

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.intake.fetch import FetchLimits
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.intake.work import IntakeReport
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline.storage.keys import upload_key
from diary_pipeline_tests.doors import AGO, SECRET, Doors, speech
from diary_pipeline_tests.web_server import WebServer, Wire, head, in_ranges, says, whole


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path, web: WebServer) -> Iterator[Doors]:
    """A door, and a server to fetch from."""
    doors = Doors(ledger, tmp_path)
    doors.web = web
    doors.door = doors.fetching_door()
    yield doors
    doors.door.stop()


def test_an_address_becomes_a_recording_and_its_signature_is_told_to_nobody(
    house: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    data = speech(house)
    good, bad = house.address(whole(data, last_modified=AGO)), house.address(says(head(403)), "denied.wav")
    rows = house.until_ended(good, bad)
    recording = house.recording(rows[0].recording_key)
    assert house.store.get(recording.object_key) == data
    assert (recording.file_name, recording.recorded_at.source) == ("memo.wav", "file_time")
    assert recording.recorded_at.at == dt.datetime(2021, 5, 1, 20, tzinfo=dt.UTC)
    assert (rows[1].reason_code, rows[1].commit_seq is not None) == ("url_access_denied", True)
    told = [caplog.text, *(f"{row.file_name} {row.message}" for row in rows)]
    told += [file.read_bytes().decode("latin-1") for file in house.store.root.rglob("*") if file.is_file()]
    assert "s3cret" not in " ".join(told)
    assert not [path for path in house.scratch.rglob("*") if path.is_file()]


def tomorrow() -> str:
    """Write a date that no recording can have had when it was handed in."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")


DATES: tuple[tuple[str, str, dict[str, str], str, float], ...] = (
    (AGO, "memo.wav", {}, "file_time", 0.3),
    (AGO, "memo.wav", {"recorded_at": "2020-02-03T04:05+00:00"}, "explicit", 1.0),
    (AGO, "2019-08-07 21.00.00.wav", {}, "file_name", 0.9),
    ("", "memo.wav", {}, "file_time", 0.1),
    ("yesterday", "memo.wav", {}, "file_time", 0.1),
    (tomorrow(), "memo.wav", {}, "file_time", 0.1),
    ("", "memo.wav", {"recorded_at": "2020-02-03T04:05+00:00"}, "explicit", 1.0),
)


@pytest.mark.parametrize("row", DATES)
def test_recording_date_is_not_processing_date(house: Doors, row: tuple[str, str, dict[str, str], str, float]) -> None:
    told, name, wanted, source, confidence = row
    data = speech(house)
    (house.inbox / "sent").write_bytes(data)
    house.store.put_file(upload_key("up"), house.inbox / "sent")
    submitted = {"owner": "me", "source": "api", "file_name": name, "options": wanted}
    far = house.address(whole(data, **({"last_modified": told} if told else {})), name.replace(" ", "%20"), **wanted)
    near = submissions.submit(house.ledger, uri="upload:up", **{**submitted, "owner": "anna"})  # type: ignore[arg-type]
    with house.ledger.writing() as tx:  # it was handed in long before anybody came to it
        tx.execute(table.update().values(created_at=table.c.created_at - 40 * 86_400))
    for ended in house.until_ended(far, near):
        spoken = house.recording(ended.recording_key).recorded_at
        if ended.id == near and source == "file_time":
            assert spoken.confidence == 0.1
        else:
            assert (spoken.source, spoken.confidence) == (source, confidence)
        if spoken.confidence == 0.1:
            assert abs(spoken.at.timestamp() - ended.created_at) < 1
            assert "handed in" in spoken.note


def test_a_failure_that_may_pass_is_tried_again_and_then_refused_with_its_code(house: Doors) -> None:
    id = house.address(says(head(503, content_length=0)))
    for attempt in (1, 2):
        assert house.door.work(10, 100, ids=[id]).waiting == 1
        assert (house.row(id).status, house.row(id).attempts) == ("pending", attempt)
    assert house.door.work(10, 100, ids=[id]) == IntakeReport(refused=1)
    row = house.row(id)
    assert (row.status, row.reason_code, row.commit_seq is not None) == ("refused", "url_unreachable", True)
    assert "memos.test" in (row.message or "")
    assert len(house.web.asked) == 3


def test_a_pause_after_a_failure_is_kept_by_everybody(house: Doors) -> None:
    house.door = house.fetching_door(FetchLimits(waits_s=(3_600.0,)))
    id = house.address(says(head(503, content_length=0)))
    assert house.door.work(10, 100, ids=[id]).waiting == 1
    assert house.door.work(10, 100, ids=[id]) == IntakeReport()
    assert house.fetching_door().work(10, 100) == IntakeReport()
    assert len(house.web.asked) == 1
    house.web.pages["/memo.wav"] = whole(speech(house))
    house.time_passes()
    house.until_ended(id)
    assert house.row(id).recording_key


def held_back(data: bytes, go: threading.Event, reached: threading.Event) -> Wire:
    """Send the first half, and the second when it may go."""

    def serve(wire: object, asked: object) -> None:
        half = len(data) // 2
        wire.sendall(head(200, content_length=len(data), etag='"1"') + data[:half])  # type: ignore[attr-defined]
        reached.set()
        go.wait(20)
        wire.sendall(data[half:])  # type: ignore[attr-defined]

    return serve


def test_a_slow_address_holds_up_neither_files_nor_other_addresses_and_is_fetched_once(house: Doors) -> None:
    go, reached = threading.Event(), threading.Event()
    slow = house.address(held_back(speech(house, pitch_hz=100), go, reached), "slow.wav")
    quick = house.address(whole(speech(house, pitch_hz=200)), "quick.wav")
    house.sound("here.wav", pitch_hz=300)
    house.scan()
    first = house.door.work(10, 100)
    assert reached.wait(10)
    assert house.fetching_door().work(10, 100) == IntakeReport(), "another worker lets it be"
    accepted = first.accepted
    while accepted < 2:
        accepted += house.door.work(10, 100).accepted
    row = house.row(slow)
    assert (row.waits, row.fetching_since is not None) == (True, True)
    go.set()
    house.until_ended(slow, quick)
    assert [asked.path.partition("?")[0] for asked in house.web.asked].count("/slow.wav") == 1


def test_a_cancelled_job_is_fetched_no_further_and_leaves_nothing_here(house: Doors) -> None:
    go, reached = threading.Event(), threading.Event()
    id = house.address(held_back(speech(house), go, reached))
    house.door.work(0, 100)
    assert reached.wait(10)
    with house.ledger.writing() as tx:
        tx.execute(table.update().values(status="cancelled"))
    go.set()
    house.door.stop()
    assert house.row(id).status == "cancelled"
    assert house.count() == 0
    assert not [path for path in house.scratch.rglob("*") if path.is_file()]


def test_a_worker_that_stops_leaves_the_half_for_the_next_one(house: Doors) -> None:
    data = speech(house, seconds=5.0)
    go, reached = threading.Event(), threading.Event()
    id = house.address(held_back(data, go, reached))
    house.door.work(0, 100)
    assert reached.wait(10)
    house.web.pages["/memo.wav"] = in_ranges(data, etag='"1"')
    stopping = threading.Thread(target=house.door.stop)
    stopping.start()
    while stopping.is_alive():
        go.set()
        stopping.join(0.01)
    house.door = house.fetching_door()
    (row,) = house.until_ended(id)
    assert house.store.get(house.recording(row.recording_key).object_key) == data


KILLED = """
import ssl, sys
from pathlib import Path
from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.fetcher import Order
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore

url, objects, scratch, port = sys.argv[1:]
guard = Guard([f"memos.test:{port}"], resolve=lambda _: ["127.0.0.1"])
http = HttpFetcher(GuardedHttp(guard, certificates=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
door = Intake(
    open_ledger(url), FolderStore(Path(objects)), owners=Owner, limits=AudioLimits(), default_model="tiny.en",
    allowed_models=("tiny.en",), seal=Seal("of this test"), scratch=Path(scratch), fetchers={"http": http},
)
while door.work(60, 10).fetching:
    pass
"""


def test_a_killed_workers_half_is_gone_on_with_when_its_lease_is_over(house: Doors) -> None:
    data = speech(house, seconds=5.0)
    go, reached = threading.Event(), threading.Event()
    id = house.address(held_back(data, go, reached))
    url = house.ledger.engine.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", KILLED, url, str(house.store.root), str(house.scratch), str(house.web.port)]
    with subprocess.Popen(arguments) as child:
        assert reached.wait(30)
        part = house.scratch / "fetched" / id
        while not (part.exists() and part.stat().st_size == len(data) // 2):
            assert child.poll() is None
        child.kill()
    go.set()
    assert house.door.work(10, 100) == IntakeReport(), "its lease is not over"
    house.web.pages["/memo.wav"] = in_ranges(data, etag='"1"')
    house.time_passes()
    (row,) = house.until_ended(id)
    assert house.store.get(house.recording(row.recording_key).object_key) == data
    assert house.web.asked[-1].headers["range"] == f"bytes={len(data) // 2}-"


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("gs://bucket/memo.mp3", "scheme_not_supported"),
        ("ftp://memos.test/memo.mp3", "scheme_not_supported"),
        ("http://127.0.0.1:22/", "url_forbidden_address"),
        ("http://me:pw@memos.test/", "url_forbidden_address"),
        ("http://2130706433/", "url_forbidden_address"),
    ],
)
def test_what_could_never_be_fetched_is_refused_at_the_door(house: Doors, place: str, code: str) -> None:
    with pytest.raises(UsageError) as refused:
        house.submit(place)
    assert refused.value.code == code


def test_what_nothing_here_fetches_is_refused_when_others_submitted_it(house: Doors) -> None:
    id = submissions.submit(house.ledger, owner="me", source="queue", uri="gs://b/a.mp3", file_name="a.mp3", options={})
    (row,) = house.until_ended(id)
    assert row.reason_code == "scheme_not_supported"


def test_an_address_that_is_named_again_while_it_waits_answers_with_the_submission_it_has(house: Doors) -> None:
    first = house.address(whole(speech(house)))
    assert house.submit(f"{house.web.url('/memo.wav')}?{SECRET}") == [first]
    assert house.submit(f"{house.web.url('/memo.wav')}?{SECRET}", title="Other") != [first]
    house.until_ended(first)
    again = house.address(whole(speech(house)))
    (row,) = house.until_ended(again)
    assert (again != first, row.duplicate) == (True, True)


class Broken:
    """Fetches nothing, in a way of its own."""

    def __init__(self, fault: Callable[[Order], None]) -> None:
        self._fault = fault

    def check(self, uri: str) -> None:
        """Take any address."""

    def fetch(self, order: Order) -> float | None:
        """Come to grief."""
        self._fault(order)
        return None


def test_an_address_is_not_refused_because_the_ledger_was_away_for_a_moment(house: Doors) -> None:
    def away(order: Order) -> None:
        with house.ledger.writing() as tx:
            tx.exec_driver_sql("ALTER TABLE submissions RENAME TO elsewhere")
        try:
            order.on_progress(1, 2)
        finally:
            with house.ledger.writing() as tx:
                tx.exec_driver_sql("ALTER TABLE elsewhere RENAME TO submissions")

    house.door = house.another_door(fetchers={"http": Broken(away)})
    (id,) = house.submit("http://memos.test/a.wav")
    with pytest.raises(ServiceMissing, match="ledger"):
        house.door.work(10, 10, ids=[id])
    assert (house.row(id).waits, house.row(id).attempts) == (True, 0)


def test_a_defect_that_one_address_brings_out_is_a_refusal(house: Doors) -> None:
    def defect(_: Order) -> None:
        raise ZeroDivisionError("s3cret")

    house.door = house.another_door(fetchers={"http": Broken(defect)})
    (id,) = house.submit("http://memos.test/a.wav")
    (row,) = house.until_ended(id)
    assert row.reason_code == "fetch_failed"
    assert "s3cret" not in (row.message or "")
