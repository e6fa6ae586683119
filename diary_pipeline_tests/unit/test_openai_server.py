"""Asking a transcription server over loopback, through the real SDK: what goes out, what is tried again, what fails."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from diary_pipeline.core.errors import DiaryError, PermanentError, ServiceMissing, TransientError
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.trouble import Unclear
from diary_pipeline_tests.transcription_server import Posted, Reply, TranscriptionDouble, refusal, transcription_server

GOOD = Reply({"text": "Hello."})
NO_VERBOSE = refusal(400, "unsupported_value", "response_format")


def asking(server: TranscriptionServer, language: str | None = None, prompt: str | None = None) -> str:
    with server.client() as client:
        return str(server.transcription(client, b"RIFF", "me_walk", language, prompt)["text"])


def answering(*replies: Reply) -> Callable[[Posted], Reply]:
    """The last reply is given for ever."""
    left: Iterator[Reply] = iter(replies[:-1])
    return lambda _: next(left, replies[-1])


def shapes(double: TranscriptionDouble) -> list[tuple[str, int]]:
    return [(p.fields["response_format"][0], len(p.fields.get("timestamp_granularities[]", []))) for p in double.posted]


def test_a_request_says_all_that_is_known() -> None:
    with transcription_server(answering(GOOD)) as double:
        assert asking(TranscriptionServer(double.url + "/", "whisper-1", "k3y"), "de", "Zillertal, Anna") == "Hello."
    (posted,) = double.posted
    assert (posted.path, posted.wav) == ("/v1/audio/transcriptions", b"RIFF")
    assert posted.headers["authorization"] == "Bearer k3y"
    assert posted.fields == {
        "model": ["whisper-1"],
        "language": ["de"],
        "prompt": ["Zillertal, Anna"],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"],
    }


def test_what_is_not_known_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid/v1")
    with transcription_server(answering(GOOD)) as double:
        asking(TranscriptionServer(double.url, "tiny"))
    assert not {"language", "prompt"} & set(double.posted[0].fields)
    assert "somebody" not in double.posted[0].headers["authorization"]


@pytest.mark.parametrize(
    ("answer", "first", "second"),
    [
        (lambda _: GOOD, [("verbose_json", 2)], [("verbose_json", 2)]),
        (
            lambda p: refusal(400) if "timestamp_granularities[]" in p.fields else GOOD,  # Groq's, once
            [("verbose_json", 2), ("verbose_json", 0)],
            [("verbose_json", 0)],
        ),
        (
            lambda p: NO_VERBOSE if p.verbose else GOOD,
            [("verbose_json", 2), ("verbose_json", 0), ("json", 0)],
            [("json", 0)],
        ),
    ],
    ids=["everything", "no words", "text only"],
)
def test_it_is_asked_for_less_until_it_answers_and_that_is_remembered(
    answer: Callable[[Posted], Reply], first: list[tuple[str, int]], second: list[tuple[str, int]]
) -> None:
    with transcription_server(answer) as double:
        server = TranscriptionServer(double.url, "m")
        asking(server)
        assert shapes(double) == first
        asking(server)
        assert shapes(double)[len(first) :] == second


def test_a_refusal_of_everything_is_about_the_audio_and_teaches_nothing() -> None:
    refusals = [refusal(400, "audio_too_short")] * 3
    with transcription_server(answering(*refusals, GOOD)) as double:
        server = TranscriptionServer(double.url, "m")
        with pytest.raises(PermanentError) as refused:
            asking(server)
        asking(server)
    assert shapes(double) == [("verbose_json", 2), ("verbose_json", 0), ("json", 0), ("verbose_json", 2)]
    assert refused.value.code == "transcription_refused"
    assert "me_walk (HTTP 400, audio_too_short)" in refused.value.message


def test_once_it_has_answered_a_refusal_is_not_asked_again_for_less() -> None:
    with transcription_server(answering(GOOD, refusal(400), GOOD)) as double:
        server = TranscriptionServer(double.url, "m")
        asking(server)
        with pytest.raises(PermanentError):
            asking(server)
        asking(server)
    assert shapes(double) == [("verbose_json", 2)] * 3


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again_when_the_server_says(status: int) -> None:
    busy = refusal(status, retry_after_ms="1")
    with transcription_server(answering(busy, busy, GOOD)) as double:
        assert asking(TranscriptionServer(double.url, "m")) == "Hello."
    assert len(double.posted) == 3


def test_retry_after_is_respected() -> None:
    soon, never = refusal(429, retry_after="0.001"), refusal(429, retry_after="121")
    with transcription_server(answering(soon, soon, soon, GOOD)) as double:
        asking(TranscriptionServer(double.url, "m"))
    assert len(double.posted) == 4
    with transcription_server(answering(never)) as double, pytest.raises(TransientError):
        asking(TranscriptionServer(double.url, "m"))
    assert len(double.posted) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (refusal(401), ServiceMissing, "transcription_server_refused"),
        (refusal(403), ServiceMissing, "transcription_server_refused"),
        (refusal(404, "model_not_found"), ServiceMissing, "transcription_model_missing"),
        (refusal(400, "invalid_value", "model"), ServiceMissing, "transcription_model_missing"),
        (refusal(413), PermanentError, "transcription_refused"),
        (refusal(422), PermanentError, "transcription_refused"),
        (refusal(429, "insufficient_quota", retry_after_ms="1"), TransientError, "transcription_server_busy"),
        (refusal(503, retry_after_ms="1"), TransientError, "transcription_server_busy"),
        (refusal(500, retry_after_ms="1"), Unclear, "transcription_server_stuck"),
        (Reply(b"<html>log in</html>", headers={"Content-Type": "text/html"}), Unclear, None),
        (Reply(b'{"text": "secret wor'), Unclear, "transcription_server_stuck"),
        (Reply({"words": []}), Unclear, "transcription_server_stuck"),
        (Reply({"text": ["secret words"]}), Unclear, "transcription_server_stuck"),
        (Reply(["secret words"]), Unclear, "transcription_server_stuck"),
        (Reply(b'{"text": "\xff"}'), Unclear, "transcription_server_stuck"),
        (Reply(b"[" * 100_000), Unclear, "transcription_server_stuck"),
    ],
)
def test_a_failure_says_whose_it_is_and_quotes_nothing(reply: Reply, kind: type[DiaryError], code: str | None) -> None:
    with transcription_server(answering(reply)) as double, pytest.raises(DiaryError) as failed:
        asking(TranscriptionServer(double.url, "m", "k3y", retries=1), prompt="Zillertal")
    assert type(failed.value) is kind
    assert failed.value.code == (code or "transcription_server_stuck")
    assert double.url in failed.value.message
    assert failed.value.message.endswith(".")
    assert not [word for word in ("secret", "k3y", "Zillertal", "log in") if word in failed.value.message]


def test_nobody_there_is_a_missing_service() -> None:
    with transcription_server(answering(GOOD)) as double:
        url = double.url
    with pytest.raises(ServiceMissing) as missing:
        asking(TranscriptionServer(url, "m", retries=0))
    assert missing.value.code == "transcription_server_missing"


def test_an_answer_that_does_not_come_in_time_is_transient() -> None:
    over = threading.Event()

    def slow(posted: Posted) -> Reply:
        over.wait(30)
        return GOOD

    with transcription_server(slow) as double:
        with pytest.raises(TransientError) as late:
            asking(TranscriptionServer(double.url, "m", wait_s=0.05, retries=0))
        over.set()
    assert late.value.code == "transcription_server_stuck"


@pytest.mark.parametrize("bad", [refusal(500, retry_after_ms="1"), Reply(b"nonsense")], ids=["500", "nonsense"])
def test_a_failure_for_this_audio_alone_is_the_recordings(bad: Reply) -> None:
    others_done = threading.Event()

    def answer(posted: Posted) -> Reply:
        if posted.wav == b"RIFF":
            others_done.wait(30)
            return bad
        return GOOD

    with transcription_server(answer) as double:
        server = TranscriptionServer(double.url, "m", retries=1)
        failures: list[Exception] = []

        def poisonous() -> None:
            try:
                asking(server)
            except DiaryError as error:
                failures.append(error)

        thread = threading.Thread(target=poisonous)
        thread.start()
        while not double.posted:
            thread.join(0.01)
        with server.client() as client:
            server.transcription(client, b"other", "me_other", None, None)
        others_done.set()
        thread.join()
    assert [(type(error), error.code) for error in failures] == [(PermanentError, "transcription_stuck")]


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply({"object": "list", "data": [{"id": "tiny"}, {"id": "base"}]}), ("tiny", "base")),
        (refusal(404), None),
        (Reply({"data": None}), None),
        (Reply([]), None),
    ],
)
def test_the_models_of_a_server_are_listed_where_it_can(reply: Reply, found: Any) -> None:
    with transcription_server(answering(reply)) as double:
        assert TranscriptionServer(double.url, "m").models() == found


def test_a_key_that_is_not_taken_is_found_when_asking_for_models() -> None:
    with transcription_server(answering(refusal(401))) as double, pytest.raises(ServiceMissing):
        TranscriptionServer(double.url, "m").models()
