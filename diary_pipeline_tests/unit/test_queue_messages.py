"""What messages say: a submission, nothing for us, or nothing that can be understood."""

import json
from typing import Any

import pytest

from diary_pipeline.core.errors import PermanentError
from diary_pipeline.intake.announced import job_of
from diary_pipeline.intake.buckets import WatchedBucket, object_of
from diary_pipeline.intake.queues.messages import MAX_BYTES, read
from diary_pipeline.intake.queues.protocol import Message
from diary_pipeline.ledger.jobs import NewJob
from diary_pipeline_tests.announcing import ADMISSION, RULE, notification

WHOLE: dict[str, Any] = {
    "uri": "https://example.org/memos/Zum%20See.m4a?sig=secret",
    "user_id": "bob",
    "id": "app-4711",
    "priority": "high",
    "language": "de",
    "recorded_at": "2026-05-01T21:30+02:00",
    "title": "Zum See",
    "tags": ["walk"],
    "vocabulary": ["Mika"],
    "whisper_model": "base",
    "metadata": {"any": ["JSON", None]},
    "callback_url": "https://example.org/told",
}


def said(message: Message) -> NewJob:
    job = read(message, ADMISSION)
    assert job is not None
    return job


def of(delivery: str = "1-0", /, **fields: object) -> Message:
    return Message(delivery, json.dumps(fields).encode())


def told(name: str, generation: int = 7, **changed: str) -> Message:
    body, attributes = notification(name, generation, **changed)  # type: ignore[arg-type]
    return Message("n", body, attributes)


def test_a_whole_message_is_a_whole_job() -> None:
    job = said(of(**WHOLE))
    assert (job.owner, job.uri, job.file_name, job.priority) == ("bob", WHOLE["uri"], "Zum See.m4a", "high")
    assert job.options == {name: WHOLE[name] for name in job.options}
    assert set(job.options) == {"language", "recorded_at", "title", "tags", "vocabulary", "whisper_model"}
    assert (job.said, job.callback_url, job.source) == (WHOLE["metadata"], WHOLE["callback_url"], "queue")


def test_only_the_address_is_needed() -> None:
    job = said(of(uri="https://example.org/a.m4a"))
    assert (job.owner, job.priority, job.options, job.callback_url) == ("me", "medium", {}, None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"uri": None}, "message_invalid"),
        ({"uri": 7}, "message_invalid"),
        ({"uri": "https://example.org/" + "a" * 3000}, "message_invalid"),
        ({"uri": "https://example.org/\x00"}, "message_invalid"),
        ({"uri": "https://example.org/\ud800"}, "message_invalid"),
        ({"uri": "ftp://example.org/a.m4a"}, "scheme_not_supported"),
        ({"uri": "upload:0123"}, "scheme_not_supported"),
        ({"uri": "/etc/passwd"}, "scheme_not_supported"),
        ({"uri": "file://elsewhere/a.m4a"}, "scheme_not_supported"),
        ({"uri": "https://me:secret@example.org/a.m4a"}, "url_forbidden_address"),
        ({"uri": "gs://voice-memos"}, "object_address_invalid"),
        ({"uri": "gs://voice-memos/anna/"}, "object_address_invalid"),
        ({"uri": "gs://our-own/diary/audio/0123"}, "object_address_invalid"),
        ({"user_id": "../other"}, "owner_invalid"),
        ({"user_id": ["bob"]}, "message_invalid"),
        ({"priority": "now"}, "priority_unknown"),
        ({"whisper_model": "large-v3"}, "model_not_allowed"),
        ({"language": "xx"}, "option_invalid"),
        ({"langauge": "de"}, "option_unknown"),
        ({"recorded_at": "yesterday"}, "recorded_at_invalid"),
        ({"id": 7}, "option_invalid"),
        ({"callback_url": "javascript:alert(1)"}, "url_invalid"),
        ({"callback_url": "https://me:secret@example.org/"}, "url_forbidden_address"),
    ],
)
def test_what_is_wrong_with_a_message_has_a_code(change: dict[str, object], code: str) -> None:
    with pytest.raises(PermanentError) as error:
        read(of(**{**WHOLE, **change}), ADMISSION)
    assert error.value.code == code
    assert "secret" not in error.value.message


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"null", b'"uri"', b"[" * 100_000, b'{"uri": "' + b"a" * MAX_BYTES + b'"}'],
    ids=["empty", "bytes", "list", "null", "text", "deep", "large"],
)
def test_what_is_no_json_object_is_no_message(body: bytes) -> None:
    with pytest.raises(PermanentError) as error:
        read(Message("1", body), ADMISSION)
    assert error.value.code == "message_invalid"


def test_the_id_is_made_of_what_is_said_and_not_of_its_delivery() -> None:
    assert said(of("1-0", **WHOLE)).id == said(of("2-0", **WHOLE)).id
    assert said(of("1-0", **WHOLE)).id != said(of("1-0", **{**WHOLE, "user_id": "anna"})).id, "another's namesake"
    assert said(of("1-0", **WHOLE)).id != said(of("1-0", **{**WHOLE, "id": "app-4712"})).id
    plain = {"uri": "https://example.org/a.m4a"}
    assert said(of("1-0", **plain)).id == said(of("1-0", **plain)).id != said(of("2-0", **plain)).id


def test_a_generation_has_one_id_whoever_tells_of_it() -> None:
    listed = job_of(RULE, "anna/a.m4a", 7)
    assert said(told("a.m4a")) == listed
    assert said(of(uri="gs://voice-memos/anna/a.m4a#7")).id == listed.id
    assert said(told("a.m4a", 8)).id != listed.id


def test_what_holds_for_a_bucket_fills_what_a_message_leaves_open() -> None:
    job = said(of(uri="gs://voice-memos/anna/a.m4a", tags=["walk"]))
    assert (job.owner, job.options) == ("anna", {"language": "de", "tags": ["walk", "phone"]})
    job = said(of(uri="gs://voice-memos/anna/a.m4a", user_id="bob", language="en"))
    assert (job.owner, job.options["language"]) == ("bob", "en")


@pytest.mark.parametrize(
    "message",
    [
        told("a.m4a", event="OBJECT_DELETE"),
        told("a.m4a", event="OBJECT_METADATA_UPDATE"),
        told("folder/"),
        told("notes.txt"),
        told("audio/0123", bucket="our-own", folder="diary/"),
    ],
    ids=["deleted", "changed", "folder", "text", "ours"],
)
def test_other_events_and_other_files_are_nothing_for_us(message: Message) -> None:
    assert read(message, ADMISSION) is None


def test_a_notification_without_a_rule_or_a_generation_is_not_understood() -> None:
    for message, code in (
        (told("a.m4a", bucket="other-one"), "bucket_unknown"),
        (told("a.m4a", folder="nobody/"), "bucket_unknown"),
        (Message("n", b"", {"eventType": "OBJECT_FINALIZE", "bucketId": "voice-memos"}), "message_invalid"),
    ):
        with pytest.raises(PermanentError) as error:
            read(message, ADMISSION)
        assert error.value.code == code


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("gs://bucket/a.m4a#7", ("bucket", "a.m4a", 7)),
        ("gs://bucket/a.m4a", ("bucket", "a.m4a", None)),
        ("gs://bucket/mit Rad #3 [x].m4a#12", ("bucket", "mit Rad #3 [x].m4a", 12)),
        ("gs://bucket/a#b", ("bucket", "a#b", None)),
        ("gs://bucket/50%25?.m4a#7", ("bucket", "50%25?.m4a", 7)),
    ],
)
def test_names_of_objects_may_hold_anything(uri: str, parts: tuple[str, str, int | None]) -> None:
    assert object_of(uri) == parts


def test_the_longest_prefix_decides_whose_it_is() -> None:
    import dataclasses

    kids = WatchedBucket("voice-memos", "anna/kids/", owner="bob")
    admission = dataclasses.replace(ADMISSION, buckets=(RULE, kids))
    job = read(told("kids/a.m4a"), admission)
    assert job is not None
    assert job.owner == "bob"


@pytest.mark.parametrize(
    "fields",
    [
        '"metadata": {"level": NaN}',
        '"metadata": 1e999',
        r'"metadata": "\ud800"',
        '"metadata": [' + "[]," * 5_000 + "1]",
        r'"callback_url": "https://example.org/\u0000"',
        '"callback_url": "http://127.0.0.1:9/told"',
    ],
)
def test_what_no_ledger_can_hold_or_nobody_may_be_told_at_is_refused_before_it_gets_there(fields: str) -> None:
    body = '{"uri": "https://example.org/a.m4a", ' + fields + "}"
    with pytest.raises(PermanentError):
        read(Message("1-0", body.encode()), ADMISSION)
