"""How commands end: exit codes, one sentence on standard error, help that helps; and what looks after a deployment."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from diary_pipeline.cli.checkup import examine
from diary_pipeline.cli.home import PATIENCE, WORKSPACE, dagster_environment, prepare_home
from diary_pipeline.cli.main import exit_code, main
from diary_pipeline.core.errors import AudioRefused, DiaryError, Fenced, NotFound, ServiceMissing, UsageError
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.settings import SETTINGS, load_settings
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.house.tree import ROOT


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIARY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DIARY_MODEL_DIR", str(tmp_path / "models"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("a", "b"), 2),
        (ServiceMissing("a", "b"), 3),
        (NotFound("a", "b"), 2),
        (AudioRefused("a", "b"), 1),
        (Fenced("a", "b"), 1),
    ],
)
def test_the_exit_code_tells_whose_turn_it_is(error: DiaryError, code: int) -> None:
    assert exit_code(error) == code


def test_a_wrong_setting_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIARY_BEEM_SIZE", "1")
    assert ended("doctor") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("diary: DIARY_BEEM_SIZE is not a setting")
    assert said.err.count("\n") == 1


def test_an_unknown_command_is_wrong_usage() -> None:
    assert ended("transcribe") == 2


def test_debugging_shows_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIARY_LOG_LEVEL", "debug")
    with pytest.raises(NotFound):
        main(["status"])


def test_the_version_and_every_help_page_print(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--version") == 0
    assert capsys.readouterr().out.startswith("diary ")
    for command in ("status", "quarantine", "notes", "show", "sql", "publish", "doctor", "dev", "ingest"):
        assert ended(command, "--help") == 0
        assert "Usage" in capsys.readouterr().out


def test_the_program_colours_nothing_in_a_pipe_and_honours_no_color(home: Path) -> None:
    command = [sys.executable, "-m", "diary_pipeline.cli.main", "doctor"]
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3  # no model in this home
    assert "\x1b[" not in done.stdout + done.stderr
    assert not home.exists()


def test_doctor_lists_every_setting_and_names_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("doctor", "--format", "json") == 3
    said = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(said.out)}
    assert set(SETTINGS) <= set(rows)
    assert rows["DIARY_HOME"]["source"] == "environment"
    assert rows["model base"]["value"] == "missing"
    assert "diary models get base" in said.err


def test_doctor_is_well_with_a_home_and_a_model(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own-model"
    own.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (own / name).write_bytes(b"weights")
    monkeypatch.setenv("DIARY_WHISPER_MODEL", str(own))
    prepare_home(load_settings())
    assert ended("doctor") == 0


def test_ingest_takes_vocabulary_with_commas_or_given_again(home: Path, tmp_path: Path) -> None:
    memo = write_audio(tmp_path / "memo.wav", speech_like(1))
    assert ended("ingest", str(memo), "--vocabulary", "ComfyUI, Anna", "--vocabulary", "Mika") == 0
    ledger = open_ledger(load_settings().ledger_url)
    with ledger.reading() as conn:
        (row,) = recordings.page(conn, limit=2)
    ledger.close()
    assert row.recording.vocabulary == ("ComfyUI", "Anna", "Mika")
    assert ended("ingest", str(memo), "--vocabulary", "x" * 65) == 2


def health(location: object, healthy: bool = True) -> object:
    statuses = [{"daemonType": "SENSOR", "healthy": healthy, "required": True}]
    entries = [{"name": "diaries", "locationOrLoadError": location}]
    return {
        "data": {
            "instance": {"daemonHealth": {"allDaemonStatuses": statuses}},
            "workspaceOrError": {"locationEntries": entries},
        }
    }


@pytest.mark.parametrize(
    ("told", "state", "said"),
    [
        (health({"__typename": "RepositoryLocation"}), "ok", "daemons are healthy"),
        (health(None), "absent", "is loading diaries"),
        (health({"__typename": "PythonError"}), "missing", "cannot load diaries"),
        (health({"__typename": "RepositoryLocation"}, healthy=False), "missing", "silent: SENSOR"),
        ({"data": None}, "absent", "is not Dagster"),
        ([], "absent", "is not Dagster"),
        (
            {"data": {"instance": {"daemonHealth": {"allDaemonStatuses": []}}, "workspaceOrError": {}}},
            "absent",
            "not Da",
        ),
    ],
)
def test_doctor_tells_how_dagster_is(told: object, state: str, said: str) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        found = {f.subject: f for f in examine(load_settings({"DIARY_UI_PORT": str(server.server_port)}))}
        server.shutdown()
    assert found["dagster"].state == state
    assert said in found["dagster"].detail


@pytest.mark.parametrize(
    ("variable", "value", "subject"),
    [
        ("DIARY_LEDGER_URL", "sqlite:///{here}/noise", "ledger"),
        ("DIARY_LEDGER_URL", "nonsense://x", "ledger"),
        ("DIARY_LEDGER_URL", "sqlite:///{here}", "ledger"),
        ("DIARY_CATALOGUE_FILE", "{here}/noise", "catalogue"),
        ("DIARY_CATALOGUE_FILE", "{here}", "catalogue"),
        ("DIARY_OBJECT_DIR", "{here}/noise/objects", "objects"),
    ],
)
def test_whatever_is_wrong_is_a_finding_of_doctor_and_never_a_traceback(
    tmp_path: Path, variable: str, value: str, subject: str
) -> None:
    (tmp_path / "noise").write_bytes(b"no database " * 1000)
    (tmp_path / "noise").chmod(0o400)
    found = {f.subject: f for f in examine(load_settings({variable: value.format(here=tmp_path)}))}
    assert found[subject].state == "missing"
    assert "\n" not in found[subject].detail


def test_a_home_is_prepared_once_for_its_owner_alone(home: Path) -> None:
    settings = load_settings()
    prepare_home(settings)
    (settings.dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepare_home(settings)
    assert (settings.dagster_home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    assert home.stat().st_mode & 0o077 == 0
    assert settings.drop_dir.is_dir()


def test_dagster_waits_for_a_process_as_long_as_its_monitor_unless_the_operator_says_otherwise(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    prepare_home(settings)
    monitored = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text())["run_monitoring"]
    [(name, patience)] = PATIENCE.items()
    assert int(patience) == monitored["start_timeout_seconds"]
    assert dagster_environment(settings)[name] == patience
    monkeypatch.setenv(name, "300")
    assert dagster_environment(settings)[name] == "300"


def test_a_home_that_cannot_be_made_is_named_with_the_user(home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(ServiceMissing) as refusal:
        prepare_home(load_settings())
    assert str(home) in refusal.value.message
    assert f"user id {os.getuid()}" in refusal.value.message


def test_models_list_tells_what_is_offered_and_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("models", "list", "--format", "json") == 0
    rows = {row["name"]: row["installed"] for row in json.loads(capsys.readouterr().out)}
    assert rows["base"] is False


@pytest.mark.parametrize(
    ("command", "code"), [(["path", "base"], 3), (["path", "huge"], 2), (["verify", "base"], 3), (["get", "huge"], 2)]
)
def test_a_model_that_is_not_there_is_3_and_one_that_cannot_be_is_2(command: list[str], code: int) -> None:
    assert ended("models", *command) == code


def test_the_packaged_workspace_is_the_repositorys() -> None:
    assert (ROOT / "workspace.yaml").read_text() == WORKSPACE
