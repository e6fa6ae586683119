"""What `diary doctor` tests: each place and service that the settings point at, by using it.

Dagster is asked over HTTP, never imported. Nothing is repaired or created here.
"""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diary_pipeline.core.errors import DiaryError
from diary_pipeline.settings import Settings

HEALTH = """{
  instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } }
  workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } }
}"""
ANSWER_S = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was tested. `absent` is fine (not begun, not running); `missing` stops work."""

    subject: str
    state: Literal["ok", "absent", "missing"]
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Test everything once; a test that fails is a finding, never an exception."""
    return [
        *_places(settings),
        _attempt("ledger", lambda: _ledger(settings)),
        _attempt("catalogue", lambda: _catalogue(settings)),
        _attempt(f"model {settings.whisper_model}", lambda: _model(settings)),
        _dagster(settings),
    ]


def _attempt(subject: str, test: Callable[[], tuple[Literal["ok", "absent"], str]]) -> Finding:
    try:
        state, detail = test()
    except DiaryError as error:
        return Finding(subject, "missing", error.message)
    return Finding(subject, state, detail)


def _places(settings: Settings) -> Iterator[Finding]:
    for name, folder in (("home", settings.home), ("objects", settings.object_dir), ("drop folder", settings.drop_dir)):
        standing = _nearest(folder)
        if not os.access(standing, os.W_OK | os.X_OK):
            yield Finding(name, "missing", f"{standing} cannot be written by user id {os.getuid()}: change its owner.")
        elif standing != folder:
            yield Finding(name, "absent", f"{folder} is made when it is needed.")
        else:
            yield Finding(name, "ok", f"{folder} can be written.")
    for watched in settings.folders[1:]:
        here = os.access(watched.path, os.R_OK | os.X_OK)
        detail = "can be read." if here else "cannot be read: mount it, or change DIARY_CONFIG."
        yield Finding("watched folder", "ok" if here else "missing", f"{watched.path} {detail}")


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _ledger(settings: Settings) -> tuple[Literal["ok", "absent"], str]:
    from diary_pipeline.cli.home import has_ledger
    from diary_pipeline.ledger import submissions
    from diary_pipeline.ledger.connect import open_ledger

    if not has_ledger(settings):
        return "absent", "The ledger is made by the first `diary ingest`."
    with open_ledger(settings.ledger_url).reading() as conn:
        return "ok", f"answers; {sum(submissions.counts(conn).values())} submissions."


def _catalogue(settings: Settings) -> tuple[Literal["ok", "absent"], str]:
    from diary_pipeline.catalogue.query import query

    if not settings.catalogue_file.exists():
        return "absent", f"{settings.catalogue_file} is made by the first publish."
    rows = query(settings.catalogue_file, "SELECT count(*) FROM recordings").rows
    return "ok", f"opens; {rows[0][0]} recordings published."


def _model(settings: Settings) -> tuple[Literal["ok", "absent"], str]:
    from diary_pipeline.transcription.models import resolve

    return "ok", f"{resolve(settings.whisper_model, settings.model_dir)}"


def _dagster(settings: Settings) -> Finding:
    where = f"http://{settings.ui_host}:{settings.ui_port}"
    question = urllib.request.Request(  # noqa: S310 -- our own address
        f"{where}/graphql",
        data=json.dumps({"query": HEALTH}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(question, timeout=ANSWER_S) as answer:  # noqa: S310
            told = json.load(answer)["data"]
        daemons = told["instance"]["daemonHealth"]["allDaemonStatuses"]
        locations = told["workspaceOrError"]["locationEntries"]
    except OSError:
        return Finding("dagster", "absent", f"nothing answers at {where}; `diary dev` starts it.")
    except (ValueError, KeyError, TypeError):
        return Finding("dagster", "absent", f"what answers at {where} is not Dagster; set DIARY_UI_PORT to its port.")
    if ill := [one["daemonType"] for one in daemons if one["required"] and not one["healthy"]]:
        return Finding("dagster", "missing", f"answers at {where}, but its daemons are silent: {', '.join(ill)}.")
    broken = [one["name"] for one in locations if one["locationOrLoadError"]["__typename"] == "PythonError"]
    if broken:
        return Finding("dagster", "missing", f"answers at {where}, but cannot load {', '.join(broken)}: see its page.")
    return Finding("dagster", "ok", f"answers at {where}; its daemons are healthy.")
