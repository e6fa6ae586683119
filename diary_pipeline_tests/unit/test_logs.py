"""Events reach standard error once, with their fields, and without other people's words."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from diary_pipeline.core.errors import AudioRefused, UsageError
from diary_pipeline.observability.logs import ROOT, configure_logging, log
from diary_pipeline.storage.keys import checked_key


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    logger = logging.getLogger(ROOT)
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_holds_the_event_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    log("diary_pipeline.audio.probe").bind(batch="b1").info("probed", duration_s=1.23456, key="k", ok=True, none=None)
    [line] = json_lines(capsys)
    assert line.pop("at")
    assert line == {
        "level": "info",
        "logger": "diary_pipeline.audio.probe",
        "event": "probed",
        "batch": "b1",
        "duration_s": 1.235,
        "key": "k",
        "ok": True,
        "none": None,
    }


def test_a_human_line_quotes_what_would_break_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    log("audio").info("refused", file='my "best" memo.m4a', line="a\nb", plain="x-1.5", flag=False)
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(r'refused file="my \"best\" memo.m4a" line="a\nb" plain=x-1.5 flag=false')


def test_binding_leaves_the_first_logger_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    plain = log("x")
    plain.bind(run="r").bind(key="k").info("bound")
    plain.info("plain")
    bound, bare = json_lines(capsys)
    assert (bound["run"], bound["key"]) == ("r", "k")
    assert "run" not in bare


def test_fields_cannot_forge_the_head_of_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    log("x").info("real", event="forged", level="debug", self="fine", value=float("nan"))
    [line] = json_lines(capsys)
    assert (line["event"], line["level"], line["self"], line["value"]) == ("real", "info", "fine", "nan")


def test_configuring_twice_does_not_print_twice(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug")
    configure_logging("warning")
    log("x").info("quiet")
    log("x").warning("loud")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_code_location_configures_what_nobody_did_and_leaves_what_somebody_chose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = [logging.getLogger(), logging.getLogger("dagster")]
    before = [(logger.handlers[:], logger.level, logger.propagate, logger.disabled) for logger in others]
    logging.getLogger(ROOT).handlers.clear()
    for _ in range(3):
        configure_logging("warning", unless_done=True)
    configure_logging("debug", unless_done=True)
    log("x").info("quiet")
    log("x").warning("loud")
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [(logger.handlers[:], logger.level, logger.propagate, logger.disabled) for logger in others] == before


def test_a_foreign_exception_keeps_its_words_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    try:
        json.loads('{"diary": my secret day')
    except ValueError as error:
        log("x").exception("parse_failed", key="k")
        log("x").warning("parse_failed", error=error)
    first, second = json_lines(capsys)
    assert first["error"] == second["error"] == "JSONDecodeError"
    assert first["where"] == second["where"]
    assert re.fullmatch(r"decoder\.py:\d+ < test_logs\.py:\d+", str(first["where"]))
    assert "message" not in first


def crash() -> dict[str, str]:
    return {}["my secret day"]


def test_an_exception_that_is_over_is_logged_with_the_lines_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    with pytest.raises(KeyError) as caught:
        crash()
    log("x").exception("crashed", caught.value, key="k")
    log("x").warning("crashed", key="k", error=caught.value)
    first, second = json_lines(capsys)
    at = crash.__code__.co_firstlineno + 1
    assert str(first["where"]).startswith(f"test_logs.py:{at} < test_logs.py:")
    assert (first["error"], first["key"], second["where"]) == ("KeyError", "k", first["where"])
    assert "secret" not in f"{first}{second}"


def test_our_own_exception_as_a_field_tells_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    refusal = AudioRefused("audio_empty", "memo.wav is empty; record it again.")
    log("x").error("refused", error=refusal)
    [line] = json_lines(capsys)
    assert line["error"] == "AudioRefused: memo.wav is empty; record it again."


def test_our_own_exception_being_handled_tells_its_code_and_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    try:
        checked_key("../out")
    except UsageError:
        log("x").exception("refused")
    [line] = json_lines(capsys)
    assert line["code"] == "object_key_invalid"
    assert "'../out' is not an object key" in str(line["message"])
