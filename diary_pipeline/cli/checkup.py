"""What `diary doctor` tests: each place and service that the settings point at, by using it.

Dagster is asked over HTTP, never imported. Nothing is repaired or created here, and nothing is decided: where the model
would run is what transcription/devices/device.py says when a run asks it.
"""

import http.client
import json
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from diary_pipeline.cli.route_check import State, route_state, routes_state
from diary_pipeline.core.errors import DiaryError
from diary_pipeline.intake.buckets import WatchedBucket
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.settings import Settings
from diary_pipeline.settings_pages import masked

HEALTH = """{
  instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } }
  workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } }
}"""
ANSWER_S = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was tested. `absent` is fine (not begun, not running); `missing` stops work."""

    subject: str
    state: State
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Test everything once; a test that fails is a finding, never an exception."""
    return [
        _attempt("home", lambda: _writable(settings.home)),
        _attempt("objects", lambda: _bucket(settings) if settings.bucket else _writable(settings.object_dir)),
        _attempt("drop folder", lambda: _writable(settings.drop_dir)),
        *(_attempt("watched folder", partial(_readable, folder.path)) for folder in settings.folders[1:]),
        *(_attempt("watched bucket", partial(_watched_bucket, bucket)) for bucket in settings.buckets),
        *([_attempt("upload queue", lambda: _queue(settings))] if settings.upload_queue != "none" else []),
        _attempt("ledger", lambda: _ledger(settings)),
        _attempt("catalogue", lambda: _catalogue(settings)),
        _attempt("transcription server", lambda: _server(settings))
        if settings.transcriber == "openai"
        else _attempt(f"model {settings.whisper_model}", lambda: _model(settings.whisper_model, settings)),
        *(_attempt(f"repair model {name}", partial(_repair_model, settings)) for name in _repair_models(settings)),
        *(_attempt(f"route {route.name}", partial(_route, route, settings)) for route in settings.llm.routes),
        *([_attempt("routes", lambda: routes_state(settings.llm, timeout_s=ANSWER_S))] if settings.llm.routes else []),
        *(
            [_attempt(f"embedder {settings.embedder}", lambda: _embedder(settings))]
            if settings.embedder != "none"
            else []
        ),
        _attempt("search", lambda: _search(settings)),
        _attempt("voice activity", _voice_activity),
        _attempt("device", lambda: _device(settings)),
        _attempt("cuda", _cuda),
        _attempt("dagster", lambda: _dagster(settings)),
    ]


def _attempt(subject: str, test: Callable[[], tuple[State, str]]) -> Finding:
    try:
        state, detail = test()
    except DiaryError as error:
        return Finding(subject, "missing", error.message)
    except Exception as error:  # noqa: BLE001 - whatever it is, finding it is what this is for
        return Finding(subject, "missing", f"cannot be used: {type(error).__name__}: {_sentence(error)}")
    return Finding(subject, state, detail)


def _sentence(error: Exception) -> str:
    return masked(str(error).partition("\n")[0])


def _writable(folder: Path) -> tuple[State, str]:
    standing = _nearest(folder)
    if not os.access(standing, os.W_OK | os.X_OK):
        return "missing", f"{standing} cannot be written by user id {os.getuid()}: change its owner."
    if standing != folder:
        return "absent", f"{folder} is made when it is needed."
    return "ok", f"{folder} can be written."


def _bucket(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.storage.bucket import Bucket

    bucket = Bucket(settings.bucket or "", patience_s=ANSWER_S)
    if missing := bucket.missing_rights():
        return "missing", f"{bucket.url} answers, but refuses {', '.join(missing)}: give the role Storage Object User."
    try:
        kept = bucket.keeps_deleted()
    except DiaryError:  # needs storage.buckets.get, which that role does not hold
        return (
            "ok",
            f"{bucket.url} may be used; whether it keeps what is deleted may not be seen with these credentials.",
        )
    if kept:
        return "ok", f"{bucket.url} may be used, but what is erased stays recoverable there: {kept}."
    return "ok", f"{bucket.url} may be used, and keeps nothing that is deleted."


def _readable(folder: Path) -> tuple[State, str]:
    here = os.access(folder, os.R_OK | os.X_OK)
    detail = "can be read." if here else "cannot be read: mount it, or change DIARY_CONFIG."
    return "ok" if here else "missing", f"{folder} {detail}"


def _watched_bucket(rule: WatchedBucket) -> tuple[State, str]:
    from diary_pipeline.storage.foreign import ForeignBucket

    found = ForeignBucket(rule.bucket, patience_s=ANSWER_S).page(rule.prefix, "", 1)
    return "ok", f"{rule.url} can be listed{'' if found else ', and holds nothing'}; its objects are {rule.owner}'s."


def _queue(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.wiring.deployment import Wiring

    queue = Wiring(settings).notifications
    assert queue is not None  # noqa: S101 - examine() asks only where one is configured
    try:
        return "ok", queue.state()
    finally:
        queue.close()


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _ledger(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.cli.home import has_ledger
    from diary_pipeline.ledger import submissions
    from diary_pipeline.ledger.opening import open_ledger

    if not has_ledger(settings):
        return "absent", "The ledger is made by the first `diary ingest`."
    with open_ledger(settings.ledger_url).reading() as conn:
        return "ok", f"answers; {sum(submissions.counts(conn).values())} submissions."


def _catalogue(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.catalogue.query import query

    if not settings.catalogue_file.exists():
        return "absent", f"{settings.catalogue_file} is made by the first publish."
    rows = query(settings.catalogue_file, "SELECT count(*) FROM recordings").rows
    return "ok", f"opens; {rows[0][0]} recordings published."


def _model(name: str, settings: Settings) -> tuple[State, str]:
    from diary_pipeline.transcription.weights.models import recorded_sha256, resolve, verify

    folder = resolve(name, settings.model_dir)
    if not verify(folder):
        return "missing", f"{folder} is damaged: run `diary models get {name}`, which mends it."
    if recorded := recorded_sha256(folder):
        return "ok", f"{folder}; its weights still have SHA-256 {recorded}."
    return "ok", f"{folder}; whole, but put there by somebody who recorded no SHA-256."


def _repair_models(settings: Settings) -> list[str]:
    wanted = settings.transcriber != "openai" and settings.repair_model not in ("", settings.whisper_model)
    return [settings.repair_model] if wanted else []


def _repair_model(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.wiring.deployment import Wiring

    Wiring(settings).demand_repair_model()
    return _model(settings.repair_model, settings)


def _server(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.wiring.deployment import Wiring

    url, model = settings.transcription_url, settings.whisper_model
    offered = Wiring(settings).transcription_server(model).models()
    if offered is None:
        return "ok", f"{url} answers; it does not say which models it has."
    if model in offered:
        return "ok", f"{url} answers and has the model {model}."
    some = ", ".join(offered[:10]) or "none at all"
    return "missing", f"{url} answers, but has no model {model}: change DIARY_WHISPER_MODEL; it has {some}."


def _route(route: Route, settings: Settings) -> tuple[State, str]:
    return route_state(route, settings.llm, timeout_s=ANSWER_S)


def _embedder(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.wiring.deployment import Wiring

    embedder = Wiring(settings).embedder
    assert embedder is not None  # noqa: S101 - examine() asks only where one is configured
    vectors = embedder.embed(["A walk by the river."])
    return "ok", f"{embedder.made_with} gives vectors of {vectors.shape[1]} numbers."


def _search(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.catalogue.search_index import SearchIndex

    index = SearchIndex(settings.search_file)
    if not index.path.exists():
        return "absent", f"{index.path} is made by the first publish."
    return "ok", f"{index.path} is at commit {index.watermark()}."


def _voice_activity() -> tuple[State, str]:
    import numpy as np

    from diary_pipeline.transcription.speech.spans import FRAME
    from diary_pipeline.transcription.speech.speech_activity import Silero

    Silero().push(np.zeros(FRAME, np.float32))
    return "ok", "Silero, of faster-whisper, runs."


def _device(settings: Settings) -> tuple[State, str]:
    from diary_pipeline.transcription.devices.device import choose
    from diary_pipeline.transcription.weights.models import resolve
    from diary_pipeline.transcription.whisper.log_mel import made_by

    def folder(name: str) -> Path | None:
        try:
            return resolve(name, settings.model_dir)
        except DiaryError:  # is a finding of its own
            return None

    chosen = choose(
        settings.device,
        settings.compute_type,
        batch_size=settings.window_batch_size,
        beam_size=settings.beam_size,
        model=folder(settings.whisper_model),
        beside=next(map(folder, _repair_models(settings)), None),
    )
    return "ok", f"{chosen.name} in {chosen.compute_type}, log-mel by {made_by(chosen.name)}: {chosen.reason}."


def _cuda() -> tuple[State, str]:
    from diary_pipeline.transcription.devices.cuda import CUBLAS, ask_cuda

    found = ask_cuda()
    if not found.types:
        return "absent", f"{found.missing}."
    free = "unknown" if found.free is None else f"{found.free >> 20} MiB"
    return "ok", f"answers and {CUBLAS} loads; free memory {free}; computes in {', '.join(found.types)}."


def _dagster(settings: Settings) -> tuple[State, str]:
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
        loaded = {one["name"]: (one["locationOrLoadError"] or {}).get("__typename") for one in _locations(told)}
    except OSError:
        return "absent", f"nothing answers at {where}; `diary dev` starts it."
    except (ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException):
        return "absent", f"what answers at {where} is not Dagster; set DIARY_UI_PORT to its port."
    if ill := [one["daemonType"] for one in daemons if one["required"] and not one["healthy"]]:
        return "missing", f"answers at {where}, but its daemons are silent: {', '.join(ill)}."
    if broken := [name for name, what in loaded.items() if what == "PythonError"]:
        return "missing", f"answers at {where}, but cannot load {', '.join(broken)}: see its page."
    if loading := [name for name, what in loaded.items() if what is None]:
        return "absent", f"answers at {where} and is loading {', '.join(loading)}; ask again in a moment."
    return "ok", f"answers at {where}; its daemons are healthy."


def _locations(told: dict[str, Any]) -> list[dict[str, Any]]:
    return list(told["workspaceOrError"]["locationEntries"])
