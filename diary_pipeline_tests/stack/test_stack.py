"""The whole stack as processes: a client submits over GraphQL, power is cut, and nothing is lost or done twice."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline_tests.builders import silence, write_audio
from diary_pipeline_tests.servers import missing_server
from diary_pipeline_tests.stack.asking import partition_counts, running, sql
from diary_pipeline_tests.stack.stack import Stack, documented_client, documented_curl, documented_operation, until

pytestmark = pytest.mark.stack
DEMO = Path(__file__).parents[1] / "recordings" / "demo"
LEASE_S = 6.0
WAIT_S = 600.0  # never waited out where it works; a busy machine has taken 240


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack") / "home"
    found = Stack(
        home,
        DIARY_WHISPER_MODEL="tiny.en",
        DIARY_LEASE_S=str(LEASE_S),
        DIARY_SETTLE_S="0.5",
        DIARY_TRANSCRIPT_BATCH_RECORDINGS="6",
        DIARY_BEAM_SIZE="1",
    )
    try:
        found.start()
        yield found
    finally:
        found.kill()


def client(stack: Stack) -> Any:
    """The client of docs/graphql.md, at this stack."""
    return documented_client()(f"http://127.0.0.1:{stack.port}/graphql")


def keys_by_file(stack: Stack) -> dict[str, str]:
    return dict(sql(stack, "SELECT file_name, recording_key FROM recordings WHERE recording_key IS NOT NULL"))


def test_a_graphql_client_submits_polls_and_reads_the_note(stack: Stack, tmp_path: Path) -> None:
    for name in ("20260303_201500.mp3", "memo_2026-03-04_07-45.ogg"):
        shutil.copy(DEMO / name, tmp_path)
    write_audio(tmp_path / "2026-03-05 silent.wav", silence(4.0))
    asking = client(stack)
    run = asking.submit([str(tmp_path)])
    assert asking.wait(run) == "SUCCESS"
    ids = asking.submissions(run)
    assert len(ids) == 3
    until("three recordings are published", lambda: len(keys_by_file(stack)) == 3, WAIT_S)
    assert {(i,) for i in ids} == set(sql(stack, "SELECT submission_id FROM recordings"))
    note = asking.note(keys_by_file(stack)["20260303_201500.mp3"])
    assert "cupboard" in note["preview"] and "## " in note["preview"]
    assert asking.check(keys_by_file(stack)["20260303_201500.mp3"]) is True


def test_the_curl_line_hands_in_a_recording(stack: Stack) -> None:
    if shutil.which("curl") is None:
        missing_server("curl is not installed")
    memo = DEMO / "20260303_201500.mp3"  # known by now: it is told so, and nothing is heard again
    changes = {"127.0.0.1:3000": f"127.0.0.1:{stack.port}", "/home/me/memo.m4a": str(memo)}
    words = documented_curl()
    for said, here in changes.items():
        assert any(said in word for word in words)
        words = [word.replace(said, here) for word in words]
    answer = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)["data"]["launchRun"]
    assert client(stack).wait(answer["run"]["runId"]) == "SUCCESS"


def test_a_backfill_of_neighbours_with_a_silent_one_among_them_succeeds(stack: Stack) -> None:
    keys = sorted(keys_by_file(stack).values())
    assert len(keys) == 3
    assets = ("raw_audio", "transcript", "diary_note")
    asked = {"id": client(stack).backfill(keys, *assets)}

    def status() -> str | None:
        said = stack.graphql(documented_operation("BackfillStatus"), asked)["partitionBackfillOrError"]["status"]
        return said if said not in ("REQUESTED", "CANCELING") else None

    assert until("the backfill ends", status, WAIT_S) == "COMPLETED_SUCCESS"
    for asset in assets:
        assert partition_counts(stack, asset) == {"numMaterialized": 3, "numFailed": 0}


def test_power_cut_in_the_middle_of_a_batch_loses_nothing_and_repeats_nothing(stack: Stack) -> None:
    before = len(keys_by_file(stack))
    names = [p for p in sorted(DEMO.iterdir()) if p.suffix in (".mp3", ".flac", ".m4a", ".wav")][1:]
    for path in names:
        shutil.copy(path, stack.settings.drop_dir / f"again {path.name}")
    until(
        "a batch is being transcribed",
        lambda: [r for r in running(stack) if r["jobName"] == "transcribe_recordings" and r["status"] == "STARTED"],
        WAIT_S,
    )
    stack.kill()
    stack.start()
    fresh = len({p.name for p in names} - {"20260303_201500.mp3"})  # that one's content is known already
    until("all are published", lambda: len(keys_by_file(stack)) == before + fresh, WAIT_S)
    assert sql(stack, "SELECT status, count(*) FROM recordings GROUP BY ALL") == [("completed", before + fresh)]
    notes = sql(stack, "SELECT recording_key, count(*) FROM notes GROUP BY ALL")
    assert len(notes) == before + fresh - 1 and {n for _, n in notes} == {1}  # all but the silent one
    assert sql(
        stack, "SELECT count(*) FROM (SELECT recording_key, segment_id FROM segments GROUP BY ALL HAVING count(*) > 1)"
    ) == [(0,)]
    until("no run holds a slot any more", lambda: not running(stack), WAIT_S)
    assert partition_counts(stack, "diary_note") == {"numMaterialized": before + fresh, "numFailed": 0}
