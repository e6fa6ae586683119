"""What people read on the command line, over a small real home: notes, a silence, a failure, a refusal, a queue."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.catalogue.commit import FinishedTranscript, commit_transcripts
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.core.batch import Check
from diary_pipeline.core.transcript import Segment
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording
from diary_pipeline_tests.commands import Run
from diary_pipeline_tests.diaries import Diary, transcript_for


@pytest.fixture
def keys(run: Run) -> Iterator[dict[str, str]]:
    """A home with something of everything; recording keys (or submission ids) by file name."""
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    walk, bread, silent, cut, waiting = diary.accept("walk.m4a", "bread.m4a", "silent.m4a", "cut.m4a", "waiting.m4a")
    diary.transcribe([walk, bread])
    diary.transcribe([silent], said=())
    diary.fail("transcript", [cut])
    diary.write([walk, bread], title="By [the] river")
    diary.write([silent], said=())
    refused = diary.refuse("empty.m4a")
    Publisher(ledger, diary.store, settings.catalogue_file).publish()
    yield {r.file_name: r.key for r in (walk, bread, silent, cut, waiting)} | {"empty.m4a": refused}
    ledger.close()


@pytest.mark.parametrize("command", [["status"], ["quarantine"], ["notes"], ["show", "2026"], ["publish"]])
def test_where_no_diary_was_begun_a_command_says_so_and_creates_nothing(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    ran = run(*command)
    assert ran.code == 2
    assert ran.out == ""
    assert "There is no diary at" in ran.err
    assert "[home_missing]" in ran.err
    assert not (tmp_path / "home").exists()


def test_status_counts_every_submission_once(run: Run, keys: dict[str, str]) -> None:
    counted = {row["status"]: row["submissions"] for row in json.loads(run("status", "--format", "json").out)}
    assert sum(counted.values()) == len(keys)
    assert (counted["completed"], counted["failed"], counted["refused"]) == (3, 1, 1)


def test_status_of_a_failed_recording_names_the_reason_and_ends_with_1(run: Run, keys: dict[str, str]) -> None:
    ran = run("status", keys["cut.m4a"], "--format", "json")
    (row,) = json.loads(ran.out)
    assert ran.code == 1
    assert (row["status"], row["stage"], row["reason_code"]) == ("failed", "transcript", "audio_truncated")


def test_status_follow_ends_when_the_recording_has_ended(run: Run, keys: dict[str, str]) -> None:
    assert run("status", keys["walk.m4a"], "--follow").code == 0


def test_quarantine_lists_what_was_refused_or_failed_the_newest_first(run: Run, keys: dict[str, str]) -> None:
    rows = json.loads(run("quarantine", "--format", "json").out)
    assert [(row["file_name"], row["stage"], row["code"]) for row in rows] == [
        ("empty.m4a", "intake", "audio_empty"),
        ("cut.m4a", "transcript", "audio_truncated"),
    ]
    assert all(row["message"] and row["at"] for row in rows)
    assert run("quarantine", "list", "--format", "json").out == run("quarantine", "--format", "json").out
    fewer = run("quarantine", "list", "--limit", "1", "--format", "csv")
    assert (fewer.out.count("\n"), "--limit" in fewer.err) == (2, True)
    assert "audio_empty" in run("quarantine").out


def test_a_submission_id_stands_for_its_recording_or_its_refusal(run: Run, keys: dict[str, str]) -> None:
    ran = run("status", keys["empty.m4a"], "--format", "json")
    assert ran.code == 1
    assert json.loads(ran.out)[0]["reason_code"] == "audio_empty"


def test_notes_come_as_table_json_and_csv_with_the_same_rows(run: Run, keys: dict[str, str]) -> None:
    wanted = {keys["walk.m4a"], keys["bread.m4a"]}
    assert {row["recording_key"] for row in json.loads(run("notes", "--format", "json").out)} == wanted
    assert {row["recording_key"] for row in csv.DictReader(io.StringIO(run("notes", "--format", "csv").out))} == wanted
    table = run("notes").out
    assert all(key[-12:] in table for key in wanted)
    assert "By [the] river" in table


def test_notes_are_chosen_by_user_and_day(run: Run, keys: dict[str, str]) -> None:
    assert json.loads(run("notes", "--user", "anna", "--format", "json").out) == []
    assert json.loads(run("notes", "--since", "2999-01-01", "--format", "json").out) == []
    assert run("notes", "--since", "tomorrow").code == 2


def test_show_accepts_the_beginning_or_the_end_of_a_key(run: Run, keys: dict[str, str]) -> None:
    key = keys["walk.m4a"]
    for said in (key, key[:-6], key[-12:]):
        ran = run("show", said, "--format", "markdown")
        assert (ran.code, ran.out) == (0, f"# {key}\n")


def test_show_gives_the_transcript_with_what_was_not_understood(run: Run, keys: dict[str, str]) -> None:
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    (noisy,) = diary.accept("noisy.m4a")
    (lease,) = diary.claim("transcript", [noisy]).leases
    segments = (
        Segment(0, 0.0, 1.5, "speech", "Tea.", "en", raw_text="T.", language_probability=0.9, rung="batched"),
        Segment(1, 1.5, 4.0, "inaudible", reason="phantom_phrase"),
    )
    said = dataclasses.replace(transcript_for(noisy), segments=segments, duration_s=4.0)
    unsure = Check("language_is_certain", False, "WARN", "language=en probability=0.41")
    commit_transcripts(ledger, diary.store, [FinishedTranscript(noisy, lease, said, (unsure,))])
    Publisher(ledger, diary.store, settings.catalogue_file).publish()
    ledger.close()
    ran = run("show", noisy.key, "--transcript")
    assert (ran.code, ran.out) == (0, "- `0:00` Tea.\n- `0:01` [inaudible] (phantom_phrase, 2.5 s)\n")
    assert "noisy.m4a: doubtful, language_is_certain failed (language=en probability=0.41)" in ran.err
    assert "language_is_certain" not in run("show", noisy.key).err, "no reason to doubt a note"
    rows = list(csv.DictReader(io.StringIO(run("show", noisy.key, "--transcript", "--format", "csv").out)))
    assert [(row["kind"], row["reason"], row["raw_text"]) for row in rows] == [
        ("speech", "", "T."),
        ("inaudible", "phantom_phrase", ""),
    ]
    first, lost = json.loads(run("show", noisy.key, "--format", "json").out)["segments"]
    assert (first["language"], first["language_probability"], first["rung"]) == ("en", 0.9, "batched")
    assert (lost["kind"], lost["reason"], lost["text"]) == ("inaudible", "phantom_phrase", "")


@pytest.mark.parametrize("form", ["txt", "srt", "vtt", "md"])
def test_show_gives_a_transcript_as_a_file_to_redirect(run: Run, keys: dict[str, str], form: str) -> None:
    ran = run("show", keys["walk.m4a"], "--format", form)
    assert (ran.code, ran.err) == (0, "")
    assert {"txt": "I walked by", "srt": "1\n00:00:00,000 --> ", "vtt": "WEBVTT\n\n", "md": "---\n"}[form] in ran.out[
        :30
    ]
    assert "I walked by the river. Then I bought bread.".split() == [
        word for word in ran.out.split() if word in set("I walked by the river. Then bought bread.".split())
    ]
    assert run("show", keys["walk.m4a"], "--transcript", "--format", form).out == ran.out


def test_show_gives_a_transcript_as_json_with_its_words(run: Run, keys: dict[str, str]) -> None:
    told = json.loads(run("show", keys["walk.m4a"], "--transcript", "--format", "json").out)
    assert told["recording_key"] == keys["walk.m4a"]
    assert [word["text"] for word in told["segments"][0]["words"]] == "I walked by the river.".split()


def test_a_transcript_is_there_before_anybody_publishes(run: Run) -> None:
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    some = diary.accept("new.m4a")
    diary.transcribe(some)
    ledger.close()
    ran = run("show", some[0].key, "--format", "txt")
    assert (ran.code, ran.out) == (0, "I walked by the river. Then I bought bread.\n")


@pytest.mark.parametrize(
    ("file_name", "code", "reason"),
    [
        ("cut.m4a", 1, "audio_truncated"),
        ("empty.m4a", 1, "audio_empty"),
        ("silent.m4a", 0, "silent.m4a: no words were understood in it"),
        ("waiting.m4a", 0, "diary status"),
    ],
)
def test_show_says_why_a_file_is_empty(run: Run, keys: dict[str, str], file_name: str, code: int, reason: str) -> None:
    ran = run("show", keys[file_name], "--format", "srt")
    assert (ran.code, ran.out, reason in ran.err) == (code, "", True)


def test_show_says_why_there_is_no_transcript(run: Run, keys: dict[str, str]) -> None:
    for name, code, reason in (("cut.m4a", 1, "audio_truncated"), ("silent.m4a", 0, "audio_no_speech")):
        ran = run("show", keys[name], "--transcript")
        assert (ran.code, ran.out, reason in ran.err) == (code, "", True), name


def test_show_refuses_to_guess_between_two(run: Run, keys: dict[str, str]) -> None:
    ran = run("show", keys["walk.m4a"][:10])
    assert ran.code == 2
    assert keys["bread.m4a"] in ran.err


def test_what_was_refused_is_found_by_the_id_that_the_quarantine_prints(run: Run, keys: dict[str, str]) -> None:
    printed = {row["file_name"]: row["id"] for row in json.loads(run("quarantine", "--format", "json").out)}
    ran = run("show", printed["empty.m4a"])
    assert (ran.code, "audio_empty" in ran.err) == (1, True)


def test_show_of_an_unknown_key_ends_with_2(run: Run, keys: dict[str, str]) -> None:
    ran = run("show", "1999")
    assert (ran.code, ran.out) == (2, "")
    assert "[recording_missing]" in ran.err


def test_show_gives_the_whole_note_as_json_and_its_items_as_rows(run: Run, keys: dict[str, str]) -> None:
    told = json.loads(run("show", keys["walk.m4a"], "--format", "json").out)
    assert told["recording"]["file_name"] == "walk.m4a"
    assert told["note"]["title"] == "By [the] river"
    assert [item["quote"] for item in told["items"]] == ["I walked by the river.", "Then I bought bread."]
    rows = list(csv.DictReader(io.StringIO(run("show", keys["walk.m4a"], "--format", "csv").out)))
    assert [row["text"] for row in rows] == ["I walked by the river.", "Then I bought bread."]


@pytest.mark.parametrize(
    ("file_name", "code", "reason"),
    [
        ("cut.m4a", 1, "audio_truncated"),
        ("empty.m4a", 1, "audio_empty"),
        ("silent.m4a", 0, "audio_no_speech"),
        ("waiting.m4a", 0, "diary status"),
    ],
)
def test_show_says_why_there_is_no_note(run: Run, keys: dict[str, str], file_name: str, code: int, reason: str) -> None:
    ran = run("show", keys[file_name])
    assert (ran.code, ran.out) == (code, "")
    assert file_name in ran.err
    assert reason in ran.err


def test_show_tells_which_sources_disagree_over_the_day(run: Run, keys: dict[str, str]) -> None:
    note = "The file name says 2026-03-07, the file's time says 2026-03-01; the file name was believed."
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    spoken = dataclasses.replace(make_recording().recorded_at, note=note)
    some = diary.accept("doubted.m4a", recorded_at=spoken)
    diary.transcribe(some)
    diary.write(some)
    Publisher(ledger, diary.store, settings.catalogue_file).publish()
    ledger.close()
    assert note in run("show", some[0].key).err
    told = "SELECT recorded_at_note FROM recordings WHERE recorded_at_note IS NOT NULL"
    assert json.loads(run("sql", told, "--format", "json").out) == [{"recorded_at_note": note}]


def test_sql_answers_in_every_format(run: Run, keys: dict[str, str]) -> None:
    query = "SELECT status, count(*) AS n FROM recordings GROUP BY status ORDER BY status"
    rows = [("completed", 3), ("failed", 1), ("refused", 1)]
    assert [(row["status"], row["n"]) for row in json.loads(run("sql", query, "--format", "json").out)] == rows
    assert run("sql", query, "--format", "csv").out == "status,n\ncompleted,3\nfailed,1\nrefused,1\n"
    assert "completed" in run("sql", query).out


@pytest.mark.parametrize(
    "query", ["SELEKT 1", "DROP TABLE notes", "SELECT 1; SELECT 2", "SELECT * FROM read_text('/etc/hostname')", ""]
)
def test_sql_that_cannot_be_ends_with_2_and_one_sentence(run: Run, keys: dict[str, str], query: str) -> None:
    ran = run("sql", query)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1


def test_publish_twice_tells_that_nothing_is_new(run: Run, keys: dict[str, str]) -> None:
    ran = run("publish", "--format", "json")
    assert "published 0 recordings" in ran.err
    [figures] = json.loads(ran.out)
    assert (figures["recordings"], figures["freshness_s"], figures["origin"]) == (0, None, None)


def test_unpublished_commits_are_told(run: Run, keys: dict[str, str]) -> None:
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    Diary(ledger, FolderStore(settings.object_dir)).refuse("late.m4a")
    ledger.close()
    assert "1 commits are not published yet" in run("status").err
