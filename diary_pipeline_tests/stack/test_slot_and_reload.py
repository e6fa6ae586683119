"""R10 `slot_and_reload`: who holds a pool of one is killed, then the code server in the middle of a backfill.

The time within which the next run starts is a sum: the lease of the dead one runs out (`DIARY_LEASE_S`), the
sensor `uploads` looks (every 5 s), the run queue looks (every 5 s), and a process starts.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from diary_pipeline.defs.sensors import INTERVAL_S
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import history
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.stack import scripted_location
from diary_pipeline_tests.stack.asking import partition_counts, running, sql
from diary_pipeline_tests.stack.stack import Stack, documented_client, until

pytestmark = pytest.mark.trial
LEASE_S = 6.0
QUEUE_S = 5.0
"""Dagster's run queue looks so often."""
PROCESS_S = 60.0
"""A run's process and a tick's work, at least: 8 s on an idle machine, minutes on one that is busy with other tests."""
RELOAD_S = 10.0
"""Runs are taken from the queue again so long after the code server was not found (dagster.yaml)."""
RECORDINGS = 8
WAIT_S = 400.0
MODULE = scripted_location.__name__
ASSETS = ("raw_audio", "transcript", "diary_note")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("slot")
    (folder / "heard").touch()
    found = Stack(
        folder / "home",
        MODULE,
        DIARY_LEASE_S=str(LEASE_S),
        DIARY_SETTLE_S="0",
        DIARY_RETRY_S="0",
        DIARY_TRANSCRIPT_BATCH_RECORDINGS=str(RECORDINGS // 2),
        HEARD_FILE=str(folder / "heard"),
        SLOW_EARS_S="2",
    )
    instance = found.settings.dagster_home / "dagster.yaml"  # room beside the pool, or publishing would be waited for
    instance.write_text(instance.read_text().replace("max_concurrent_runs: 2", "max_concurrent_runs: 6"))
    for n in range(RECORDINGS):  # before anybody looks: two batches, and none left over that waits for their end
        write_audio(found.settings.drop_dir / f"2026-03-02 memo {n}.wav", speech_like(1.0, pitch_hz=100.0 + n))
    try:
        found.serve_code_apart(MODULE)
        found.start()
        yield found
    finally:
        found.kill()


def heard(stack: Stack) -> list[tuple[int, str]]:
    """Who listened to which recording, in order."""
    lines = (stack.settings.home.parent / "heard").read_text().splitlines()
    return [(int(pid), key) for pid, key in (line.split() for line in lines)]


def test_slot_and_reload(stack: Stack) -> None:
    started_at = time.monotonic()
    until("a run listens", lambda: heard(stack), WAIT_S)
    process_s = max(PROCESS_S, 2 * (time.monotonic() - started_at))  # that run took a tick, the queue and a process
    next_run_s = LEASE_S + INTERVAL_S + QUEUE_S + process_s
    waiting = ("transcribe_recordings", "QUEUED")
    until(
        "another waits for its slot", lambda: waiting in {(r["jobName"], r["status"]) for r in running(stack)}, WAIT_S
    )
    assert len({pid for pid, _ in heard(stack)}) == 1, "a pool of one was given twice"

    holder, _ = heard(stack)[-1]
    os.kill(holder, signal.SIGKILL)
    killed_at = time.monotonic()
    until("another run listens", lambda: heard(stack)[-1][0] != holder, next_run_s)
    print(f"the next run listened {time.monotonic() - killed_at:.1f} s after the holder of the slot was killed")

    keys = sorted(known_keys(stack))
    assert len(keys) == RECORDINGS
    client = documented_client()(f"http://127.0.0.1:{stack.port}/graphql")
    backfill = client.backfill(keys, *ASSETS)
    until("the backfill has runs", lambda: of_backfill(stack, backfill), WAIT_S)
    stack.kill("code")  # and the runs in its process tree
    before, killed_at = heard(stack), time.monotonic()
    stack.serve_code_apart(MODULE)
    after_reload_s = next_run_s + RELOAD_S + process_s  # the code server has to start too
    until("a run listens again, or all is done", lambda: len(heard(stack)) > len(before) or done(stack), after_reload_s)
    print(f"the next run listened {time.monotonic() - killed_at:.1f} s after the code server was killed")

    until("all are published", lambda: done(stack), WAIT_S)
    until("no run holds a slot any more", lambda: not running(stack), WAIT_S)
    for asset in ASSETS:
        assert partition_counts(stack, asset) == {"numMaterialized": RECORDINGS, "numFailed": 0}
    ledger = open_ledger(stack.settings.ledger_url)
    with ledger.reading() as conn:
        made = conn.execute(sa.select(history.c.subject, history.c.kind)).all()
    ledger.close()
    ended = Counter((key, kind) for key, kind in made if kind in ("transcript", "note"))
    assert ended == Counter({(key, kind): 1 for key in keys for kind in ("transcript", "note")}), "each key ends once"


def done(stack: Stack) -> bool:
    """Whether every recording is published as completed, once."""
    return sql(stack, "SELECT status, count(*) FROM recordings GROUP BY ALL") == [("completed", RECORDINGS)]


def known_keys(stack: Stack) -> list[str]:
    """All partition keys."""
    said = stack.graphql(
        '{ assetNodeOrError(assetKey: {path: ["raw_audio"]}) { ... on AssetNode {'
        " partitionKeyConnection(limit: 100, ascending: true) {"
        " results } } } }"
    )
    return list(said["assetNodeOrError"]["partitionKeyConnection"]["results"])


def of_backfill(stack: Stack, backfill: str) -> list[str]:
    """The runs of a backfill that have begun."""
    said = stack.graphql(
        'query($b: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $b}]}) {'
        " ... on Runs { results { runId status } } } }",
        {"b": backfill},
    )
    return [r["runId"] for r in said["runsOrError"]["results"]]
