"""The OpenAPI documents are true: every answer is one that they name, and nothing that is sent breaks the server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from diary_pipeline.api.app import ingestion_app, status_app
from diary_pipeline.api.parts import Parts, parts_of
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.api.serving import served

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)
OPENAI = "/v1/"
"""Refuses as OpenAI does, so that their client understands it."""
OTHERS = "^/v1/|^/files"
"""Protocols of others, whose own documents say what is answered: held here to never breaking alone."""
UNWAITED = "^/v1/models|^/files"
"""Without a worker `/v1/audio/transcriptions` answers 504, as it should; test_openai.py has one."""
LONG = ("--phases", "coverage,fuzzing", "--max-examples", "15", "--max-time", "50")
PROMISED = {
    "ingestion": {"createJob", "createJobs", "getJob", "deleteJob", "getHealth", "getReady", "getMetrics"},
    "status": {
        *("listJobs", "getJob", "deleteJob", "getTranscription", "getDiaryNote", "search", "eraseUser"),
        *("downloadTranscription", "downloadDiaryNote", "listQuarantine", "getHealth", "getReady", "getMetrics"),
    },
}
"""Ids by which generated clients call a route: fixed, because people's programs name them."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    home = tmp_path_factory.mktemp("documents")
    said = {"DIARY_HOME": str(home), "DIARY_RATE_LIMITS": "none", "DIARY_OPENAI_WAIT_S": "0.1"}
    made = parts_of(Wiring(load_settings(said)))
    yield made
    made.ledger.close()


@pytest.fixture(params=["ingestion", "status"])
def app(request: pytest.FixtureRequest, parts: Parts) -> FastAPI:
    return {"ingestion": ingestion_app, "status": status_app}[request.param](parts)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_names_itself_its_refusals_and_shows_examples(app: FastAPI) -> None:
    document = json.loads(json.dumps(app.openapi()))
    schemas = document["components"]["schemas"]
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for name, operation in operations(document):
        assert operation["summary"], name
        if OPENAI in name:
            continue
        for status, told in operation["responses"].items():
            if status.startswith("2") or name.startswith("HEAD"):
                continue
            content = told.get("content", {}).get("application/problem+json")
            assert content, (name, status)
            assert content["example"]["status"] == int(status)
            assert content["example"]["error"]
    assert "HTTPValidationError" not in json.dumps(document)
    for reference in {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}:
        assert reference in schemas
    for name in ("Accepted", "Job", "ProblemDocument") if "createJob" in ids else ("Job", "Note", "Transcription"):
        assert name in schemas


def test_the_documents_name_what_the_protocols_of_others_are_refused_with(parts: Parts) -> None:
    paths = ingestion_app(parts).openapi()["paths"]
    every = {"401", "403", "405", "414", "429", "431", "503"}
    refused = {
        "patch /files/{id}": {*every, *"400 404 408 409 410 412 413 415 422 460".split()},
        "head /files/{id}": {*every, "404", "410", "412", "422"},
        "post /files": {*every, "400", "412", "413", "422"},
        "post /v1/audio/transcriptions": {*every, *"400 404 408 409 413 415 500 504".split()},
        "get /v1/models/{model}": {*every, "400", "404"},
        "patch /jobs/{job_id}/transcription": {*every, *"400 404 408 409 411 412 413 415 422".split()},
    }
    paths |= status_app(parts).openapi()["paths"]
    for name, statuses in refused.items():
        method, path = name.split()
        told = paths[path][method]["responses"]
        assert {status for status in told if not status.startswith("2")} == statuses, name
        if path.startswith(OPENAI):
            assert all("application/json" in told[status]["content"] for status in statuses)


@pytest.mark.parametrize(("name", "make"), [("ingestion", ingestion_app), ("status", status_app)])
def test_the_ids_that_programs_name_stay(parts: Parts, name: str, make: Any) -> None:
    assert PROMISED[name] <= {operation["operationId"] for _, operation in operations(make(parts).openapi())}


def tried(app: FastAPI, folder: Path, *how: str, checks: str = CHECKS) -> None:
    """Have schemathesis send what the documents allow and what they do not, and hold the answers to them."""
    schemathesis = Path(sys.executable).with_name("schemathesis")
    with served(app) as url:
        done = subprocess.run(
            [
                *(str(schemathesis), "run", f"{url}/openapi.json", "--checks", checks, "--seed", "7"),
                *("--no-color", "--continue-on-failure", "--request-timeout", "60", *how),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_documents_examples_are_answered_as_they_say(app: FastAPI, tmp_path: Path) -> None:
    tried(app, tmp_path, "--phases", "examples", "--exclude-path-regex", OTHERS)


@pytest.mark.slow
def test_nothing_that_is_sent_breaks_the_server(app: FastAPI, tmp_path: Path) -> None:
    tried(app, tmp_path, *LONG, "--exclude-path-regex", OTHERS)


@pytest.mark.slow
def test_nothing_that_is_sent_breaks_the_protocols_of_others(parts: Parts, tmp_path: Path) -> None:
    tried(ingestion_app(parts), tmp_path, *LONG, "--include-path-regex", UNWAITED, checks="not_a_server_error")
