"""`diary llm` says what is here, what to do next, and how a configuration names the server."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from diary_pipeline.cli.llm import route_block
from diary_pipeline.cli.main import main
from diary_pipeline.notes.local_model.server import LocalServer, key_in
from diary_pipeline.notes.local_model.weights import DEFAULT, pinned
from diary_pipeline.settings import SETTINGS


@pytest.fixture(autouse=True)
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIARY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DIARY_MODEL_DIR", str(tmp_path / "models"))
    return tmp_path / "models" / "llm"


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("llm", "get", "gpt-6"), 2, "[llm_model_unknown]"),
        (("llm", "serve", "gpt-6"), 2, "[llm_model_unknown]"),
        (("llm", "serve"), 3, f"`diary llm get {DEFAULT}`"),
    ],
)
def test_what_is_not_there_is_one_sentence_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert ended(*arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err


def test_the_models_are_listed_with_what_they_are_good_for(capsys: pytest.CaptureFixture[str], model_dir: Path) -> None:
    weights = pinned()[DEFAULT]
    model_dir.mkdir(parents=True)
    with (model_dir / weights.file).open("wb") as sparse:
        sparse.truncate(weights.size_bytes)
    assert ended("llm", "list", "--format", "json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == pinned().keys()
    assert {name for name, row in rows.items() if row["installed"]} == {DEFAULT}
    assert all(row["use"] and row["licence"] for row in rows.values())


def test_without_the_extra_it_is_said_what_to_install(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    assert ended("llm", "serve", str(own)) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "diary-pipeline[local-llm]" in told.err
    assert "Ollama" in told.err


def test_the_printed_route_is_toml_that_names_the_server_and_the_variable_of_its_key() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as process:
        running = LocalServer("http://127.0.0.1:8095/v1", "secret", "small", 4096, 2, process)
        block = route_block(running)
    (route,) = tomllib.loads(block)["llm"]["routes"]
    assert route["base_url"] == running.url
    assert (route["model"], route["context_tokens"], route["concurrency"]) == ("small", 4096, 2)
    assert (route["local"], route["prose"]) == (True, False)
    assert route["api_key_env"] == "LOCAL_LLM_KEY"
    assert "secret" not in block


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "llm" / "key"
    key = key_in(file)
    assert len(key) >= 32
    assert key_in(file) == key
    assert file.stat().st_mode & 0o777 == 0o600
