"""A deployment whose model is behind a server: what must be said, what is offered, what doctor finds."""

from pathlib import Path

import pytest

from diary_pipeline.cli.checkup import Finding, examine
from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.settings import load_settings
from diary_pipeline.settings_pages import explain
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.transcription_server import Reply, refusal, transcription_server

SERVED = {
    "DIARY_TRANSCRIBER": "openai",
    "DIARY_TRANSCRIPTION_URL": "http://127.0.0.1:8000/v1/",
    "DIARY_WHISPER_MODEL": "whisper-1",
}
LISTED = Reply({"object": "list", "data": [{"id": "whisper-1"}, {"id": "large"}]})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DIARY_TRANSCRIPTION_URL": ""}, "DIARY_TRANSCRIBER=openai needs DIARY_TRANSCRIPTION_URL"),
        ({"DIARY_WHISPER_MODEL": ""}, "DIARY_TRANSCRIBER=openai needs DIARY_WHISPER_MODEL"),
        ({"DIARY_TRANSCRIBER": "whisper.cpp"}, "DIARY_TRANSCRIBER cannot be used"),
        ({"DIARY_TRANSCRIPTION_URL": "localhost:8000"}, "DIARY_TRANSCRIPTION_URL cannot be used"),
        ({"DIARY_TRANSCRIPTION_URL": "http://me:pa55@host/v1"}, "DIARY_TRANSCRIPTION_URL cannot be used"),
        ({"DIARY_TRANSCRIPTION_CONCURRENCY": "0"}, "DIARY_TRANSCRIPTION_CONCURRENCY cannot be used"),
    ],
)
def test_what_is_missing_or_wrong_is_refused_by_name(changes: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings({**SERVED, **changes})
    assert said in refused.value.message
    assert "pa55" not in refused.value.message


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [(None, ("whisper-1",)), ("large, whisper-1", ("large", "whisper-1")), ("large", ("large", "whisper-1"))],
)
def test_only_models_that_were_named_are_offered(allowed: str | None, offered: tuple[str, ...]) -> None:
    settings = load_settings({**SERVED, **({"DIARY_ALLOWED_MODELS": allowed} if allowed else {})})
    assert settings.allowed_models == offered
    again = load_settings(settings.environment())
    assert again.model_dump(exclude={"origins"}) == settings.model_dump(exclude={"origins"})


def test_the_key_is_never_shown() -> None:
    settings = load_settings({**SERVED, "DIARY_TRANSCRIPTION_API_KEY": "k3y"})
    (row,) = (row for row in explain(settings) if row.name == "DIARY_TRANSCRIPTION_API_KEY")
    assert (row.value, row.source) == ("***", "environment")


def test_the_model_is_asked_of_the_server_and_the_engine_is_kept() -> None:
    wiring = Wiring(load_settings(SERVED))
    engine = wiring.transcriber("large").engine
    assert (engine.name, engine.model) == ("openai", "large")
    assert engine.parameters["url"] == "http://127.0.0.1:8000/v1"
    assert wiring.transcriber("large") is wiring.transcriber("large") is not wiring.transcriber("whisper-1")


def found(url: str, home: Path, **more: str) -> Finding:
    settings = load_settings({**SERVED, "DIARY_TRANSCRIPTION_URL": url, "DIARY_HOME": str(home), **more})
    return next(finding for finding in examine(settings) if finding.subject == "transcription server")


@pytest.mark.parametrize(
    ("reply", "model", "state", "said"),
    [
        (LISTED, "whisper-1", "ok", "answers and has the model whisper-1"),
        (LISTED, "tiny", "missing", "has no model tiny: change DIARY_WHISPER_MODEL; it has whisper-1, large"),
        (refusal(404), "tiny", "ok", "does not say which models it has"),
        (refusal(401), "tiny", "missing", "set DIARY_TRANSCRIPTION_API_KEY"),
        (refusal(503), "tiny", "missing", "HTTP 503"),
    ],
)
def test_doctor_says_whether_the_server_answers(
    tmp_path: Path, reply: Reply, model: str, state: str, said: str
) -> None:
    with transcription_server(lambda _: reply) as double:
        finding = found(double.url, tmp_path, DIARY_WHISPER_MODEL=model, DIARY_TRANSCRIPTION_API_KEY="k3y")
    assert finding.state == state
    assert said in finding.detail
    assert [posted.headers["authorization"] for posted in double.posted] == ["Bearer k3y"]


def test_a_server_that_is_not_there_is_told_before_anything_is_taken_on(tmp_path: Path) -> None:
    with transcription_server(lambda _: LISTED) as double:
        Wiring(load_settings({**SERVED, "DIARY_TRANSCRIPTION_URL": double.url})).demand("whisper-1")
    assert found(double.url, tmp_path).state == "missing"
    with pytest.raises(ServiceMissing) as missing:
        Wiring(load_settings({**SERVED, "DIARY_TRANSCRIPTION_URL": double.url})).demand("whisper-1")
    assert missing.value.code == "transcription_server_missing"
