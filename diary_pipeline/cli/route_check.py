"""Whether the configured language models could be asked: their keys, their packages, their servers.

No question is put to a model, because questions cost money: a server of the deployment's own is asked which models it
has, everybody else nothing. The surprise: a route that is not used is well, as long as another one is.
"""

import http.client
import importlib.util
import json
import urllib.request
from collections.abc import Mapping
from typing import Literal

from diary_pipeline.notes.routing.route import ProviderName, Route
from diary_pipeline.settings_llm import Llm

PACKAGES: Mapping[ProviderName, str] = {"openai": "openai", "anthropic": "anthropic", "mistral": "mistralai"}

State = Literal["ok", "absent", "missing"]


def route_state(route: Route, llm: Llm, *, timeout_s: float) -> tuple[State, str]:
    """Say whether a route could be asked, and if not, what is wanting."""
    if why := llm.unused(route):
        return "absent", f"{why}: the route is not used."
    if not _has_package(route):
        return "missing", f"needs the Python package {PACKAGES[route.provider]}: install diary-pipeline[llm]."
    if route.local:
        return _served(route, timeout_s)
    return "ok", f"{route.model}, with the key in {llm.key_variables[route.name]}; whether that is good is not tried."


def routes_state(llm: Llm, *, timeout_s: float) -> tuple[State, str]:
    """Say whether any route is left to write notes."""
    usable = [route.name for route in llm.usable if route_state(route, llm, timeout_s=timeout_s)[0] == "ok"]
    if not usable:
        return "missing", "none can be used: notes are the offline writer's, and marked degraded."
    return "ok", f"{', '.join(usable)} can be used."


def _has_package(route: Route) -> bool:
    return importlib.util.find_spec(PACKAGES[route.provider]) is not None


def _served(route: Route, timeout_s: float) -> tuple[State, str]:
    headers = {"Authorization": f"Bearer {route.api_key}"} if route.api_key else {}
    question = urllib.request.Request(f"{route.base_url}/models", headers=headers)  # noqa: S310 -- http(s) by settings
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # as notes go: past every proxy
    try:
        with directly.open(question, timeout=timeout_s) as answer:
            offered = [str(model["id"]) for model in json.load(answer)["data"]]
    except (OSError, http.client.HTTPException):
        return "absent", f"nothing answers at {route.base_url}; start its server, or other routes are used."
    except (ValueError, KeyError, TypeError):
        return "ok", f"{route.base_url} answers; it does not say which models it has."
    if route.model in offered:
        return "ok", f"{route.base_url} answers and has the model {route.model}."
    some = ", ".join(offered[:10]) or "none at all"
    return "missing", f"{route.base_url} answers, but has no model {route.model}: change llm.routes; it has {some}."
