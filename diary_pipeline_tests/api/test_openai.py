"""OpenAI's transcription API, asked by OpenAI's own client with another base_url."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from diary_pipeline.api.app import all_in_one
from diary_pipeline_tests.api.serving import Deployment, asked, served
from diary_pipeline_tests.builders import speech_like, write_audio

DEMO = Path(__file__).parents[1] / "recordings" / "demo"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One home for all tests here, with scripted ears."""
    limits = {"DIARY_OPENAI_WAIT_S": "30", "DIARY_WHISPER_MODEL": "tiny.en"}
    return Deployment(tmp_path_factory.mktemp("api") / "home", **limits)


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> Iterator[openai.OpenAI]:
    """OpenAI's client, unmodified."""
    with asked(deployment) as at, openai.OpenAI(api_key="none", base_url=f"{at.base_url}/v1", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def memo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in which something is loud."""
    return write_audio(tmp_path_factory.mktemp("memo") / "memo.wav", speech_like(2.0))


@contextmanager
def a_worker(deployment: Deployment) -> Iterator[None]:
    """Work until the test is done."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.05):
            deployment.work()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_the_official_client_gets_what_was_said(client: openai.OpenAI, deployment: Deployment, memo: Path) -> None:
    with a_worker(deployment):
        said = client.audio.transcriptions.create(file=memo, model="whisper-1")
        assert said.text.startswith("I went for a walk by the river")
        told = client.audio.transcriptions.create(
            file=memo,
            model="whisper-1",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
    assert (told.language, round(told.duration, 1)) == ("english", 2.0)
    assert told.segments and told.segments[0].start < told.segments[0].end
    assert told.words and told.words[0].word == "I"
    assert " ".join(segment.text for segment in told.segments) == told.text == said.text


def test_what_was_heard_so_before_is_answered_at_once(
    client: openai.OpenAI, deployment: Deployment, tmp_path: Path
) -> None:
    mine = write_audio(tmp_path / "mine.wav", speech_like(2.0, pitch_hz=170))
    with a_worker(deployment):
        said = client.audio.transcriptions.create(file=mine, model="whisper-1")
        client.audio.transcriptions.create(file=mine, model="whisper-1", prompt="Priya")
    # No worker any more, and the recording was last wanted with a name in it.
    again = client.audio.transcriptions.with_raw_response.create(file=mine, model="whisper-1")
    assert again.parse().text == said.text
    assert httpx.get(f"{str(client.base_url).removesuffix('/v1/')}/jobs/{again.headers['x-job-id']}").is_success


@pytest.mark.parametrize(("form", "begins"), [("text", "I went"), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT")])
def test_other_formats_are_texts(
    client: openai.OpenAI, deployment: Deployment, memo: Path, form: str, begins: str
) -> None:
    with a_worker(deployment):
        said = client.audio.transcriptions.create(file=memo, model="whisper-1", response_format=form)  # type: ignore[call-overload]
    assert said.startswith(begins)


def test_it_is_a_job_like_any_other(client: openai.OpenAI, deployment: Deployment, memo: Path) -> None:
    with a_worker(deployment):
        answer = client.audio.transcriptions.with_raw_response.create(
            file=memo,
            model="tiny.en",
            language="en",
            prompt=f"Priya, the harbour. This {'is no name ' * 6} but it holds Johannesburg and Ölüdeniz",
            extra_body={"user_id": "ana", "priority": "high", "metadata": json.dumps({"seen": 1})},
        )
    job = httpx.get(f"{str(client.base_url).removesuffix('/v1/')}/jobs/{answer.headers['x-job-id']}").json()
    assert (job["source"], job["user_id"], job["priority"], job["metadata"]) == ("openai", "ana", "high", {"seen": 1})
    from diary_pipeline.ledger import submissions

    with deployment.parts.ledger.reading() as conn:
        (row,) = submissions.get(conn, [job["job_id"]])
    assert row.options["vocabulary"] == ["Priya", "the harbour", "This", "Johannesburg", "Ölüdeniz"]


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert {"whisper-1", "tiny.en", "base"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("base").id == "base"


def test_what_cannot_be_had_is_told_in_openais_words(client: openai.OpenAI, memo: Path) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.audio.transcriptions.create(file=memo, model="gpt-7-transcribe")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-7-transcribe")
    with pytest.raises(openai.BadRequestError) as streamed:
        client.audio.transcriptions.create(file=memo, model="whisper-1", stream=True)
    assert streamed.value.code == "stream_unsupported"
    with pytest.raises(openai.BadRequestError) as unknown:
        client.audio.transcriptions.create(file=memo, model="whisper-1", extra_body={"prioritty": "high"})
    assert unknown.value.code == "request_invalid"


def test_an_address_or_method_that_does_not_exist_is_refused_in_openais_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as nowhere:
        client.chat.completions.create(model="whisper-1", messages=[])
    assert nowhere.value.code == "route_unknown"
    with pytest.raises(openai.APIStatusError) as method:
        client.models.delete("base")
    assert (method.value.status_code, method.value.code) == (405, "method_not_allowed")  # type: ignore[attr-defined]
    with pytest.raises(openai.BadRequestError) as query:
        client.with_options(default_query={"colour": "blue"}).models.list()
    assert "query.colour" in str(query.value)


def test_bad_audio_is_a_bad_request_with_our_code(client: openai.OpenAI, deployment: Deployment) -> None:
    with a_worker(deployment), pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(file=("memo.mp3", b"this is no audio" * 99), model="whisper-1")
    assert refused.value.code == "audio_unreadable"


def test_who_waits_too_long_is_told_the_job(tmp_path: Path, memo: Path) -> None:
    asleep = Deployment(tmp_path / "home", DIARY_OPENAI_WAIT_S="0.2")
    with asked(asleep) as at, openai.OpenAI(api_key="none", base_url=f"{at.base_url}/v1") as client:
        with pytest.raises(openai.InternalServerError) as late:
            client.audio.transcriptions.create(file=memo, model="whisper-1")
        job = at.get(f"/jobs/{late.value.response.headers['x-job-id']}").json()
    assert (late.value.status_code, late.value.code) == (504, "transcript_not_ready")
    assert job["status"] == "pending"


def test_nobody_is_waited_for_who_has_hung_up(tmp_path: Path, memo: Path) -> None:
    app = all_in_one(Deployment(tmp_path / "home").parts)
    with served(app) as url, httpx.Client(base_url=url) as at:
        form = {"files": {"file": memo.read_bytes()}, "data": {"model": "whisper-1"}}
        with pytest.raises(httpx.ReadTimeout):
            at.post("/v1/audio/transcriptions", timeout=httpx.Timeout(30, read=0.5), **form)
        watch = app.state.watch
        until = time.monotonic() + 10
        while watch.waiting and time.monotonic() < until:
            threading.Event().wait(0.05)
        assert watch.waiting == 0
        assert len(at.get("/jobs").json()["jobs"]) == 1, "its job stays"


@pytest.mark.slow
@pytest.mark.speech
def test_real_speech_comes_back_in_its_words(tmp_path: Path) -> None:
    home = Deployment(tmp_path / "home", DIARY_WHISPER_MODEL="tiny.en", DIARY_OPENAI_WAIT_S="300")
    home.wiring.ears = super(type(home.wiring), home.wiring).transcriber("tiny.en")
    recording = DEMO / "2026-03-06 report is done.mp3"
    with (
        asked(home) as at,
        openai.OpenAI(api_key="none", base_url=f"{at.base_url}/v1", timeout=300) as client,
        a_worker(home),
    ):
        said = client.audio.transcriptions.create(file=recording, model="tiny.en")
    assert "report" in said.text.lower()
