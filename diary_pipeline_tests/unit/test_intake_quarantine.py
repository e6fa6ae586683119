"""What needs somebody's attention: refused at the door and failed later, in one list, on both ledgers."""

from pathlib import Path

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.quarantine import quarantine
from diary_pipeline.intake.submit import submit_paths
from diary_pipeline.ledger import commits, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.recordings import accept
from diary_pipeline_tests.builders import make_recording


def refused(ledger: Ledger, path: Path, owner: str = "me") -> str:
    path.write_bytes(b"no sound")
    (id,) = submit_paths(ledger, [path], owner, "cli", {})
    submissions.refuse(ledger, id, "audio_unreadable", f"{path.name} is no audio.")
    return id


def failed(ledger: Ledger, file_name: str) -> str:
    id = submissions.submit(
        ledger, owner="me", source="cli", uri=f"file:///{file_name}", file_name=file_name, options={}
    )
    recording = make_recording(file_name=file_name)
    accept(ledger, id, recording, 1, 60)
    change = commits.Change(recording.key, 0, "failed", None, "audio_truncated", f"{file_name} breaks off.")
    commits.record(ledger, kind="transcript", object_id=f"catalogue/{id}", size_bytes=1, changes=[change])
    return recording.key


def test_refused_and_failed_stand_in_one_list_the_newest_first(ledger: Ledger, tmp_path: Path) -> None:
    first = refused(ledger, tmp_path / "a.wav")
    second = failed(ledger, "b.wav")
    third = refused(ledger, tmp_path / "c.wav", owner="anna")
    page = quarantine(ledger)
    assert {(q.id, q.stage, q.code, q.key) for q in page.rows} == {
        (third, "intake", "audio_unreadable", None),
        (second, "transcript", "audio_truncated", second),
        (first, "intake", "audio_unreadable", None),
    }
    # Not in order of the calls: SQLite's clock ticks in milliseconds, and they may all be one.
    assert list(page.rows) == sorted(page.rows, key=lambda q: (q.at, q.id), reverse=True)
    assert page.next is None
    assert [q.uri for q in quarantine(ledger, owner="anna").rows] == [(tmp_path / "c.wav").as_uri()]
    assert {q.id for q in quarantine(ledger, owner="me").rows} == {second, first}


def test_pages_follow_each_other_without_gap_while_new_troubles_come(ledger: Ledger, tmp_path: Path) -> None:
    ids = {refused(ledger, tmp_path / f"{n}.wav") for n in range(5)}
    everything = [q.id for q in quarantine(ledger).rows]
    one = quarantine(ledger, limit=2)
    failed(ledger, "later.wav")
    two = quarantine(ledger, limit=2, cursor=one.next)
    three = quarantine(ledger, limit=2, cursor=two.next)
    assert [q.id for page in (one, two, three) for q in page.rows] == everything
    assert set(everything) == ids
    assert three.next is None


def test_a_refusal_leaves_the_list_when_its_file_is_submitted_again(ledger: Ledger, tmp_path: Path) -> None:
    refused(ledger, tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"mended")
    submit_paths(ledger, [tmp_path / "a.wav"], "me", "cli", {})
    assert quarantine(ledger).rows == ()


def test_bytes_that_are_no_audio_are_not_refused_twice(ledger: Ledger, tmp_path: Path) -> None:
    id = refused(ledger, tmp_path / "a.wav")
    assert submit_paths(ledger, [tmp_path / "a.wav"], "me", "cli", {}) == [id]


@pytest.mark.parametrize("cursor", ["x", "x~y", "12"])
def test_a_cursor_that_is_none_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(UsageError):
        quarantine(ledger, cursor=cursor)
