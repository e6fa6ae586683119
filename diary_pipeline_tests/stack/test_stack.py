"""The whole stack as processes: a client submits over GraphQL, power is cut, and nothing is lost or done twice."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from diary_pipeline_tests.builders import silence, write_audio
from diary_pipeline_tests.stack.stack import Stack, readme_curl, readme_operation, until

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


def sql(stack: Stack, query: str) -> list[tuple[Any, ...]]:
    if not stack.settings.catalogue_file.exists():
        return []
    with duckdb.connect(str(stack.settings.catalogue_file), read_only=True) as conn:
        return conn.execute(query).fetchall()


def ingested(stack: Stack, folder: Path) -> str:
    """Post what the README's curl line posts, with another path in it; return the run's id."""
    body = readme_curl()
    config = body["variables"]["params"]["runConfigData"]["ops"]["ingest"]["config"]
    config["uris"] = [str(folder)]
    answer = stack.graphql(body["query"], body["variables"])["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def ended(stack: Stack, run_id: str) -> str | None:
    status = stack.graphql(readme_operation("RunStatus"), {"runId": run_id})["runOrError"]["status"]
    return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None


def keys_by_file(stack: Stack) -> dict[str, str]:
    return dict(sql(stack, "SELECT file_name, recording_key FROM recordings WHERE recording_key IS NOT NULL"))


def test_a_graphql_client_submits_polls_and_reads_the_note(stack: Stack, tmp_path: Path) -> None:
    for name in ("20260303_201500.mp3", "memo_2026-03-04_07-45.ogg"):
        shutil.copy(DEMO / name, tmp_path)
    write_audio(tmp_path / "2026-03-05 silent.wav", silence(4.0))
    run = ingested(stack, tmp_path)
    assert until("the ingest run ends", lambda: ended(stack, run), WAIT_S) == "SUCCESS"
    until("three recordings are published", lambda: len(keys_by_file(stack)) == 3, WAIT_S)
    key = keys_by_file(stack)["20260303_201500.mp3"]
    [note] = stack.graphql(readme_operation("Note"), {"key": key})["assetNodeOrError"][
        "latestMaterializationByPartition"
    ]
    preview = next(e["mdStr"] for e in note["metadataEntries"] if e["label"] == "preview")
    assert "cupboard" in preview and "## " in preview
    [check] = stack.graphql(readme_operation("Check"), {"key": key})["assetCheckExecutions"]
    assert (check["status"], check["evaluation"]["success"]) == ("SUCCEEDED", True)


def test_a_backfill_of_neighbours_with_a_silent_one_among_them_succeeds(stack: Stack) -> None:
    keys = sorted(keys_by_file(stack).values())
    assert len(keys) == 3
    params = {
        "assetSelection": [{"path": [asset]} for asset in ("raw_audio", "transcript", "diary_note")],
        "partitionNames": keys,
        "title": "once more",
    }
    answer = stack.graphql(readme_operation("Backfill"), {"params": params})["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    asked = {"id": answer["backfillId"]}

    def status() -> str | None:
        said = stack.graphql(readme_operation("BackfillStatus"), asked)["partitionBackfillOrError"]["status"]
        return said if said not in ("REQUESTED", "CANCELING") else None

    assert until("the backfill ends", status, WAIT_S) == "COMPLETED_SUCCESS"
    for asset in ("raw_audio", "transcript", "diary_note"):
        assert partitions(stack, asset) == {"numMaterialized": 3, "numFailed": 0}


def partitions(stack: Stack, asset: str) -> dict[str, int]:
    said = stack.graphql(
        "query($a: AssetKeyInput!) { assetNodeOrError(assetKey: $a) { ... on AssetNode {"
        " partitionStats { numMaterialized numFailed } } } }",
        {"a": {"path": [asset]}},
    )
    return dict(said["assetNodeOrError"]["partitionStats"])


def running(stack: Stack) -> list[dict[str, Any]]:
    said = stack.graphql(
        "{ runsOrError(filter: {statuses: [STARTED, STARTING, QUEUED]}) {"
        " ... on Runs { results { runId status jobName } } } }"
    )
    return list(said["runsOrError"]["results"]) if said else []


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
    assert partitions(stack, "diary_note") == {"numMaterialized": before + fresh, "numFailed": 0}
