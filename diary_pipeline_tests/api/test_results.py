"""What a job led to, as documents and as files; the search over it; and that it is gone when its person is erased."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from diary_pipeline.api.results import disposition
from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.search_index import SearchIndex
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import recordings
from diary_pipeline.notes.edits import Edit
from diary_pipeline_tests.api.served_home import Home, served_home
from diary_pipeline_tests.diaries import Diary

WALK = ("I walked by the river with Brea today.", "Then I bought bread.")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with served_home(tmp_path, {"DIARY_RATE_LIMITS": "none"}) as home:
        yield home


@pytest.fixture
def diary(home: Home) -> Diary:
    """Whatever works off what that home takes."""
    return Diary(home.parts.ledger, home.parts.store)


def noted(diary: Diary, name: str = "walk.m4a", **changes: object) -> Recording:
    [recording] = diary.accept(name, **changes)
    diary.transcribe([recording], WALK)
    diary.write([recording], WALK)
    return recording


def publish(home: Home) -> None:
    s = home.parts.settings
    followers = (SearchIndex(s.search_file),)
    Publisher(
        home.parts.ledger, home.parts.store, s.catalogue_file, followers=followers, search_file=s.search_file
    ).publish()


def test_a_completed_job_has_its_transcript_and_its_note(home: Home, diary: Diary) -> None:
    recording = noted(diary)
    [job] = home.client.get("/jobs").json()["jobs"]
    assert (job["status"], job["progress"], job["recording_key"]) == ("completed", 100, recording.key)
    heard = home.client.get(job["links"]["transcription"], params={"words": True}).json()
    assert heard["text"] == " ".join(WALK)
    assert [s["kind"] for s in heard["segments"]] == ["speech", "silence", "speech", "silence"]
    assert heard["segments"][0]["words"][0]["text"] == "I"
    note = home.client.get(job["links"]["diary_note"]).json()
    assert [item["quote"] for item in note["items"]] == list(WALK)
    assert note["markdown"] == f"# {recording.key}\n"


def test_a_job_that_is_not_that_far_says_so(home: Home, diary: Diary) -> None:
    [recording] = diary.accept("walk.m4a")
    [job] = home.client.get("/jobs").json()["jobs"]
    for what in ("transcription", "diary-note", "download/transcription", "download/diary-note"):
        answer = home.client.get(f"/jobs/{job['job_id']}/{what}")
        assert (answer.status_code, answer.json()["error"]) == (404, "not_ready")
    diary.transcribe([recording], WALK)
    assert home.client.get(f"/jobs/{job['job_id']}/transcription").status_code == 200, "readable from then on"
    diary.fail("note", [recording], "llm_budget_spent")
    assert home.client.get(f"/jobs/{job['job_id']}/transcription").status_code == 200
    answer = home.client.get(f"/jobs/{job['job_id']}/diary-note")
    assert (answer.status_code, answer.json()["error"]) == (404, "llm_budget_spent")


def test_a_silent_recording_is_completed_and_its_note_is_404_with_the_code(home: Home, diary: Diary) -> None:
    [recording] = diary.accept("silence.m4a")
    diary.transcribe([recording], ())
    diary.write([recording], ())
    [job] = home.client.get("/jobs").json()["jobs"]
    assert (job["status"], job["error"]) == ("completed", "audio_no_speech")
    assert job["message"] == "No words were understood in it, so it has no note."
    assert "diary_note" not in job["links"]
    for what in ("diary-note", "download/diary-note"):
        answer = home.client.get(f"/jobs/{job['job_id']}/{what}")
        assert (answer.status_code, answer.json()["error"]) == (404, "audio_no_speech")
    assert home.client.get(f"/jobs/{job['job_id']}/transcription").json()["text"] == ""


def test_a_refused_file_is_a_failed_job_with_its_code(home: Home, diary: Diary) -> None:
    id = diary.refuse("empty.wav")
    job = home.client.get(f"/jobs/{id}").json()
    assert (job["status"], job["error"]) == ("failed", "audio_empty")
    assert home.client.get(f"/jobs/{id}/transcription").json()["error"] == "audio_empty"
    [trouble] = home.client.get("/quarantine").json()["troubles"]
    assert (trouble["id"], trouble["stage"], trouble["error"]) == (id, "intake", "audio_empty")


def test_downloads_have_their_type_and_the_name_of_the_file(home: Home, diary: Diary) -> None:
    noted(diary, name='Spaziergang "am Fluß" \u2603.m4a')
    [job] = home.client.get("/jobs").json()["jobs"]
    for form, media_type, begins in (
        ("txt", "text/plain", "I walked"),
        ("srt", "application/x-subrip", "1\n00:00:00"),
        ("vtt", "text/vtt", "WEBVTT"),
        ("json", "application/json", "{"),
    ):
        answer = home.client.get(f"/jobs/{job['job_id']}/download/transcription", params={"format": form})
        assert answer.headers["content-type"].split(";")[0] == media_type
        assert answer.text.startswith(begins)
        assert _name(answer.headers["content-disposition"]) == f"Spaziergang _am Fluß_ \u2603.{form}"
    note = home.client.get(f"/jobs/{job['job_id']}/download/diary-note")
    assert note.headers["content-type"] == "text/markdown; charset=utf-8"
    assert home.client.get(f"/jobs/{job['job_id']}/download/transcription?format=exe").status_code == 422


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("memo.m4a", "memo.txt"),
        ("memo", "memo.txt"),
        (".m4a", "m4a.txt"),
        ("?.m4a", "_.txt"),
        (". .", "recording.txt"),
        ('a"b\\c.wav', "a_b_c.txt"),
        ("../../etc/passwd", "passwd.txt"),
        ("line\r\nSet-Cookie: x=1.wav", "line__Set-Cookie_ x=1.txt"),
        ("\u202egnp.wav", "_gnp.txt"),
        ("Привет.ogg", "Привет.txt"),
        ("x" * 300 + ".wav", "x" * 150 + ".txt"),
    ],
)
def test_a_download_has_a_name_that_no_disk_or_browser_minds(file_name: str, name: str) -> None:
    header = disposition(file_name, "txt")
    assert header.isascii()
    assert header.isprintable()
    assert _name(header) == name


def _name(header: str) -> str:
    """Read the name as browsers do (RFC 6266)."""
    return unquote(header.partition("filename*=UTF-8''")[2])


def test_each_job_keeps_answering_with_the_version_it_got(home: Home, diary: Diary) -> None:
    recording = noted(diary)
    [first] = home.client.get("/jobs").json()["jobs"]
    later = diary.submit("walk again.m4a")
    recordings.accept(home.parts.ledger, later, replace(recording, whisper_model="base"), 1, 60.0)
    diary.transcribe([recording], ("Something else was heard.",))
    diary.write([recording], ("Something else was heard.",))
    assert home.client.get(f"/jobs/{later}/transcription").json()["text"] == "Something else was heard."
    assert home.client.get(f"/jobs/{first['job_id']}/transcription").json()["text"] == " ".join(WALK)
    assert len(home.client.get(f"/jobs/{first['job_id']}/diary-note").json()["items"]) == len(WALK)


def test_what_its_owner_has_put_right_is_in_what_is_read(home: Home, diary: Diary) -> None:
    recording = noted(diary)
    home.parts.edit(recording, [Edit("segment", "I walked by the river with Priya today.", 0)], "me")
    [job] = home.client.get("/jobs").json()["jobs"]
    assert "Priya" in home.client.get(f"/jobs/{job['job_id']}/transcription").json()["text"]
    assert "Priya" in home.client.get(f"/jobs/{job['job_id']}/download/transcription?format=srt").text


def test_a_search_finds_what_is_published_and_nobody_elses(home: Home, diary: Diary) -> None:
    assert home.client.get("/search?q=river").json() == {"hits": [], "is_behind": True, "is_cut": False}
    noted(diary)
    anna = noted(diary, name="annas.m4a", owner="anna")
    publish(home)
    hits = home.client.get("/search", params={"q": "river bread"}).json()["hits"]
    assert {hit["user_id"] for hit in hits} == {"me", "anna"}
    [hit] = home.client.get("/search", params={"q": "river", "user_id": "anna"}).json()["hits"]
    assert hit["recording_key"] == anna.key
    assert [hit["snippet"][a:b] for a, b in hit["marks"]] == ["river"]
    assert hit["start_s"] == 0.0
    for asked in ("q=", "q=a&since=soon", "q=%00", "q=a&limit=0", "q=" + "x" * 600):
        assert home.client.get(f"/search?{asked}").status_code == 422
    for typed in ('"', "a AND", "NEAR(", "*", "-", "col:x", "🎈", "'"):
        assert home.client.get("/search", params={"q": typed}).status_code == 200


def test_an_erased_person_is_gone_at_once_everywhere(home: Home, diary: Diary) -> None:
    mine, _ = noted(diary), noted(diary, name="annas.m4a", owner="anna")
    publish(home)
    [job] = home.client.get("/jobs?user_id=anna").json()["jobs"]
    answer = home.client.delete("/users/anna")
    assert (answer.status_code, answer.json()["status"]) == (202, "hidden")
    assert home.client.get("/jobs?user_id=anna").json()["jobs"] == []
    for path in ("", "/transcription", "/diary-note", "/download/transcription"):
        assert home.client.get(f"/jobs/{job['job_id']}{path}").status_code == 404
    [hit] = home.client.get("/search?q=river").json()["hits"]
    assert hit["recording_key"] == mine.key
    assert home.client.delete("/users/nobody").status_code == 404
    assert home.client.delete("/users/..%00").status_code == 404
