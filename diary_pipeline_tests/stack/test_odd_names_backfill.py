"""R9 `odd_names_backfill`: 2,500 recordings with names that break other systems, launched from UI and GraphQL.

Brackets, commas and quotes in names have broken partition ranges and run tags elsewhere, one silent file a whole
backfill, and thousands of keys the UI's mutation. Every view must say the same in the end.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline_tests.builders import silence, speech_like, write_audio
from diary_pipeline_tests.stack import scripted_location
from diary_pipeline_tests.stack.asking import partition_counts, running, runs, sql
from diary_pipeline_tests.stack.stack import Stack, documented_client, documented_operation, until

pytestmark = pytest.mark.trial
ODD = (
    "a, b",
    "[brackets]",
    'say "hello"',
    "no. #1",
    "🎙️ memo 🌧️",
    'a,b]c[d"e#f 🙂',
    "...",
    "-- DROP TABLE",
    "ünïcödé",
    "日記",
)
SILENT = "2026-03-05 silent.wav"
KEYS = 2500
SECONDS = 0.5
WAIT_S = 900.0  # never waited out where it works: three minutes on two idle cores
ASSETS = ("raw_audio", "transcript", "diary_note")
LAUNCHED = 3
"""Partitions that are also launched one by one: each is a process of its own."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "heard").touch()
    found = Stack(
        folder / "home",
        scripted_location.__name__,
        DIARY_SETTLE_S="0",
        DIARY_INTAKE_MAX_FILES=str(KEYS),
        DIARY_TRANSCRIPT_BATCH_RECORDINGS=str(KEYS),
        DIARY_NOTE_BATCH_RECORDINGS=str(KEYS),
        HEARD_FILE=str(folder / "heard"),
    )
    try:
        for n, name in enumerate(names()):
            samples = silence(SECONDS) if name == SILENT else speech_like(SECONDS, pitch_hz=100.0 + n / 20)
            write_audio(found.settings.drop_dir / name, samples)
        found.start()
        yield found
    finally:
        found.kill()


def names() -> list[str]:
    """Every file name, each of the odd ones many times."""
    return [SILENT, *(f"2026-03-{n % 28 + 1:02d} {ODD[n % len(ODD)]} {n}.wav" for n in range(KEYS - 1))]


def test_odd_names_backfill(stack: Stack) -> None:
    ended = "SELECT count(*) FROM recordings WHERE status = 'completed'"
    until("all are published", lambda: sql(stack, ended) == [(KEYS,)], WAIT_S)
    until("the first runs have ended", lambda: not running(stack), WAIT_S)
    by_name = dict(sql(stack, "SELECT file_name, recording_key FROM recordings"))
    assert set(by_name) == set(names())

    params = {  # what the UI's dialog sends for a selection of partitions
        "assetSelection": [{"path": [asset]} for asset in ASSETS],
        "partitionNames": sorted(by_name.values()),
        "fromFailure": False,
        "tags": [],
    }
    asked = stack.graphql(documented_operation("Backfill"), {"params": params})["launchPartitionBackfill"]
    assert asked["__typename"] == "LaunchBackfillSuccess", asked
    assert until("the backfill ends", lambda: backfill_ended(stack, asked["backfillId"]), WAIT_S) == "COMPLETED_SUCCESS"

    client = documented_client()(f"http://127.0.0.1:{stack.port}/graphql")
    some = [by_name[SILENT], *(by_name[name] for name in names()[1:LAUNCHED])]
    assert {client.wait(client.again(key, *ASSETS)) for key in some} == {"SUCCESS"}

    until("no run is left", lambda: not running(stack), WAIT_S)
    assert {run["status"] for run in runs(stack)} == {"SUCCESS"}
    for asset in ASSETS:
        assert partition_counts(stack, asset) == {"numMaterialized": KEYS, "numFailed": 0}
    assert client.note(by_name[SILENT])["no_note"] is not None
    ledger = open_ledger(stack.settings.ledger_url)
    with ledger.reading() as conn:
        assert submissions.counts(conn) == {"completed": KEYS}
    ledger.close()
    assert sql(stack, ended) == [(KEYS,)]
    assert sql(stack, "SELECT count(*), count(DISTINCT recording_key) FROM notes") == [(KEYS - 1, KEYS - 1)]


def backfill_ended(stack: Stack, backfill: str) -> Any:
    """How it ended; None while it goes on."""
    said = stack.graphql(documented_operation("BackfillStatus"), {"id": backfill})["partitionBackfillOrError"]
    return said["status"] if said["status"] not in ("REQUESTED", "CANCELING") else None
