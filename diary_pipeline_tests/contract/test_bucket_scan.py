"""A watched bucket is looked through page by page: nothing twice, nothing left out, never all of it in one look."""

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from diary_pipeline.intake.bucket_scan import BucketScan, Looked
from diary_pipeline.intake.buckets import WatchedBucket
from diary_pipeline.ledger import source_cursors
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import submissions as table
from diary_pipeline_tests.announcing import ListingWay
from diary_pipeline_tests.contract.query_plans import plans, walks
from diary_pipeline_tests.gcs_server import Fault, GcsServer


@pytest.fixture
def way(gcs: GcsServer) -> ListingWay:
    """A watched bucket."""
    return ListingWay(gcs)


def names(ledger: Ledger) -> list[str]:
    """Return the file names of all submissions."""
    with ledger.reading() as conn:
        return sorted(conn.execute(sa.select(table.c.file_name)).scalars())


def test_a_look_goes_on_where_the_last_one_ended_and_begins_anew_at_the_end(way: ListingWay, ledger: Ledger) -> None:
    way.announce(*(f"{n}.m4a" for n in range(5)))
    looks = [way.scan(ledger, page=2).look(60, 1) for _ in range(3)]
    assert looks == [Looked(2, 2, 1, 0), Looked(2, 2, 1, 0), Looked(1, 1, 1, 1)]
    way.announce("0a.m4a")
    assert way.scan(ledger, page=2).look(60, 1) == Looked(1, 2, 1, 0), "what came in before the end waits for a round"
    assert names(ledger) == ["0.m4a", "0a.m4a", "1.m4a", "2.m4a", "3.m4a", "4.m4a"]


def test_the_next_round_waits_for_its_time(way: ListingWay, ledger: Ledger) -> None:
    way.announce("a.m4a")
    assert way.scan(ledger, rest_s=3600).look(60) == Looked(1, 1, 1, 1)
    way.gcs.asked.clear()
    assert way.scan(ledger, rest_s=3600).look(60) == Looked()
    assert way.gcs.asked == []


def test_a_page_is_one_request_and_what_is_known_writes_no_row(way: ListingWay, ledger: Ledger) -> None:
    way.announce(*(f"{n}.m4a" for n in range(20)))
    way.scan(ledger).look(60)
    way.gcs.asked.clear()
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement.split(maxsplit=1)[0])

    sa.event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        assert way.scan(ledger).look(60) == Looked(0, 20, 1, 1)
    finally:
        sa.event.remove(ledger.engine, "before_cursor_execute", note)
    assert len([asked for asked in way.gcs.asked if asked.endswith("/o")]) == 1
    assert statements.count("INSERT") == statements.count("UPDATE") == 1, "the cursor alone"


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, ["a.m4a", "b.m4a", "c.m4a"]),
        ({"ignore": ("drafts",)}, ["a.m4a", "c.m4a"]),
        ({"ignore": ("drafts/*", "c.*")}, ["a.m4a"]),
        ({"prefix": "anna/drafts/"}, ["b.m4a"]),
        ({"prefix": "nobody/"}, []),
        ({"not_older_than_days": 1}, ["a.m4a", "b.m4a", "c.m4a"]),
    ],
)
def test_the_rule_of_a_bucket_chooses(
    way: ListingWay, ledger: Ledger, change: dict[str, Any], taken: list[str]
) -> None:
    way.announce("a.m4a", "drafts/b.m4a", "c.m4a", "readme.txt", ".trash/d.m4a", "empty/")
    BucketScan(ledger, (dataclasses.replace(way.rule, **change),)).look(60)
    assert names(ledger) == taken


def test_objects_older_than_wanted_are_left_alone(way: ListingWay, ledger: Ledger) -> None:
    way.announce("a.m4a")
    rule = dataclasses.replace(way.rule, not_older_than_days=1)
    assert BucketScan(ledger, (rule,), clock=lambda: 4e9).look(60) == Looked(0, 1, 1, 1)


def test_an_object_belongs_to_the_rule_with_the_longest_prefix(way: ListingWay, ledger: Ledger) -> None:
    way.announce("a.m4a", "kids/b.m4a")
    bob = WatchedBucket(way.bucket, "anna/kids/", owner="bob")
    BucketScan(ledger, (way.rule, bob), rest_s=0).look(60)
    with ledger.reading() as conn:
        owners = conn.execute(sa.select(table.c.file_name, table.c.owner).order_by(table.c.file_name)).tuples().all()
    assert list(owners) == [("a.m4a", "anna"), ("b.m4a", "bob")]


def test_our_own_objects_are_passed_over_at_once(way: ListingWay, ledger: Ledger) -> None:
    for n in range(30):
        way.gcs.write(way.bucket, f"anna/own/audio/{n:02}", b"ours")
    way.announce("a.m4a", "z.m4a")
    looks = BucketScan(ledger, (way.rule,), store=f"gs://{way.bucket}/anna/own", page=5).look(60, 9)
    assert names(ledger) == ["a.m4a", "z.m4a"]
    assert looks.pages == 2


def test_a_bucket_out_of_reach_keeps_no_other_from_its_turn(
    way: ListingWay, gcs: GcsServer, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    way.announce("a.m4a")
    gone = WatchedBucket("no-such-bucket", owner="bob")
    assert BucketScan(ledger, (gone, way.rule)).look(60).new == 1
    assert "bucket_unreadable" in caplog.text
    gcs.faults.append(Fault("GET /storage/v1/b/.*/o$", status=403, times=1))
    way.announce("b.m4a")
    assert way.scan(ledger).look(60).new == 0
    assert way.scan(ledger).look(60).new == 1


def test_workers_that_look_at_the_same_page_submit_once_and_move_on_once(way: ListingWay, ledger: Ledger) -> None:
    way.announce(*(f"{n}.m4a" for n in range(4)))
    slow, fast = way.scan(ledger, page=2), way.scan(ledger, page=2)
    asked = slow._found

    def meanwhile(rule: WatchedBucket, after: str) -> Any:
        found = asked(rule, after)
        fast.look(60, 2)
        return found

    slow._found = meanwhile  # type: ignore[method-assign]
    assert slow.look(60, 1).new == 0
    assert len(names(ledger)) == 4
    with ledger.reading() as conn:
        assert source_cursors.cursors(conn, [way.rule.url])[way.rule.url].at == "anna/3.m4a"


def test_cursors_and_what_was_seen_are_found_by_their_keys(ledger: Ledger) -> None:
    for plan in plans(ledger, lambda conn: source_cursors.cursors(conn, ["gs://a/", "gs://b/"])):
        assert not walks(plan)
