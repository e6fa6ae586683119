"""`diary watch` as people and service managers run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.commands import Run
from diary_pipeline_tests.web_server import in_ranges, web_server


def laid(folder: Path, *names: str) -> None:
    """Put recordings there that have rested."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        write_audio(folder / name, speech_like(1, pitch_hz=100 + 20 * n))
        os.utime(folder / name, (1_600_000_000, 1_600_000_000))


def statuses(home: Path) -> dict[str, int]:
    """Count the submissions of a home by status."""
    ledger = open_ledger(f"sqlite:///{home / 'ledger.sqlite'}")
    with ledger.reading() as conn:
        counted = submissions.counts(conn)
    ledger.close()
    return counted


def test_one_round_takes_in_what_lies_there_and_names_what_it_refuses(run: Run, tmp_path: Path) -> None:
    laid(tmp_path / "home" / "drop", "a.wav", "b.wav")
    first = run("watch", "--once")
    assert (first.code, "took in 2" in first.err, first.out) == (0, True, "")
    (tmp_path / "home" / "drop" / "c.wav").write_bytes(b"no sound")
    os.utime(tmp_path / "home" / "drop" / "c.wav", (1_600_000_000, 1_600_000_000))
    second = run("watch", "--once")
    assert (second.code, "audio_unreadable" in second.err) == (1, True)
    assert statuses(tmp_path / "home") == {"pending": 2, "refused": 1}


def test_one_round_with_a_queue_that_is_not_there_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIARY_UPLOAD_QUEUE", "redis")
    monkeypatch.setenv("DIARY_REDIS_URL", "redis://127.0.0.1:1/0")
    done = run("watch", "--once")
    assert (done.code, "queue_unreachable" in done.err) == (3, True)


def test_an_address_is_ingested_like_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_audio(tmp_path / "made.wav", speech_like(1)).read_bytes()
    with web_server() as web:
        web.pages["/walk.wav"] = in_ranges(data)
        url = web.url("/walk.wav?sig=s3cret", host="127.0.0.1")
        refused = run("ingest", url)
        assert (refused.code, "url_forbidden_address" in refused.err) == (2, True)
        monkeypatch.setenv("DIARY_FETCH_HOSTS", f"127.0.0.1:{web.port}")
        done = run("ingest", url)
        missing = run("ingest", web.url("/nothing.wav?sig=s3cret", host="127.0.0.1"))
    assert done.code == 0
    assert "walk.wav" in done.out
    assert (missing.code, "url_not_found" in missing.err) == (1, True)
    assert "s3cret" not in refused.err + done.out + done.err + missing.out + missing.err
    assert statuses(tmp_path / "home") == {"pending": 1, "refused": 1}


def test_a_worker_that_is_told_to_stop_ends_well(tmp_path: Path) -> None:
    home = tmp_path / "home"
    laid(home / "drop", "a.wav")
    environment = {**os.environ, "DIARY_HOME": str(home)}
    command = [sys.executable, "-m", "diary_pipeline.cli.main", "watch"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        said = []
        for line in child.stderr:
            said.append(line)
            if "took in 1" in line:
                child.send_signal(signal.SIGTERM)
                break
        assert child.wait(20) == 0
    assert said[0].startswith("watching 1 folders")
    assert statuses(home) == {"pending": 1}
