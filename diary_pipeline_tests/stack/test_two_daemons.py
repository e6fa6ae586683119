"""Two daemons by mistake on one PostgreSQL: nothing is done twice, and no batch is lost."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.servers import Postgres
from diary_pipeline_tests.stack import scripted_location
from diary_pipeline_tests.stack.asking import partition_counts, running, sql
from diary_pipeline_tests.stack.stack import Stack, documented_client, until

pytestmark = pytest.mark.trial
RECORDINGS = 12
ASSETS = ("raw_audio", "transcript", "diary_note")
WAIT_S = 600.0  # never waited out where it works


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("two")
    with postgres.database() as url:
        found = Stack(
            folder / "home",
            scripted_location.__name__,
            DIARY_LEDGER_URL=url,
            DIARY_SETTLE_S="0",
            DIARY_TRANSCRIPT_BATCH_RECORDINGS="3",
            DIARY_NOTE_BATCH_RECORDINGS="6",
            HEARD_FILE=str(folder / "heard"),
        )
        (folder / "heard").touch()
        instance = (
            found.settings.dagster_home / "dagster.yaml"
        )  # several at once, or one daemon would never meet the other
        instance.write_text(instance.read_text().replace("default_limit: 1", "default_limit: 3"))
        try:
            found.start(daemons=2)
            yield found
        finally:
            found.kill()


def test_two_daemons_do_no_recording_twice_and_lose_none(stack: Stack) -> None:
    for n in range(RECORDINGS):
        write_audio(stack.settings.drop_dir / f"2026-03-02 memo {n}.wav", speech_like(1.0, pitch_hz=100.0 + n))
    done = "SELECT count(*) FROM recordings WHERE status = 'completed'"
    until("all are published", lambda: sql(stack, done) == [(RECORDINGS,)], WAIT_S)
    until("no run is left", lambda: not running(stack), WAIT_S)
    assert "Another SENSOR daemon is still sending heartbeats" in stack.log("daemon") + stack.log("daemon-2")
    heard = Counter(line.split()[1] for line in (stack.settings.home.parent / "heard").read_text().splitlines())
    assert len(heard) == RECORDINGS
    assert set(heard.values()) == {1}
    assert sql(stack, "SELECT count(*), count(DISTINCT recording_key) FROM notes") == [(RECORDINGS, RECORDINGS)]
    for asset in ASSETS:
        assert partition_counts(stack, asset) == {"numMaterialized": RECORDINGS, "numFailed": 0}


def test_the_documented_client_works_on_postgresql(stack: Stack, tmp_path: Path) -> None:
    write_audio(tmp_path / "2026-03-03 handed in.wav", speech_like(1.0, pitch_hz=200.0))
    client = documented_client()(f"http://127.0.0.1:{stack.port}/graphql")
    run = client.submit([str(tmp_path)])
    assert client.wait(run) == "SUCCESS"
    [submission] = client.submissions(run)
    mine = f"SELECT recording_key FROM recordings WHERE submission_id = '{submission}' AND status = 'completed'"
    [(key,)] = until("it is published", lambda: sql(stack, mine), WAIT_S)
    note = client.note(key)
    assert "## " in note["preview"] and client.check(key) is True
    assert client.wait(client.again(key, *ASSETS)) == "SUCCESS"
    assert client.note("no such key") is None and client.check("no such key") is None
