"""The two apps, made of one set of routers: what each serves, and what lies around every request.

A noun's routes stand in its own file; here is only which app has them. `all_in_one` is both on one port.
"""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from diary_pipeline.api import health, jobs, openai, submit, tus, uploads
from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import install
from diary_pipeline.api.request_log import RequestLog

INGESTION: tuple[APIRouter, ...] = (submit.router, uploads.router, tus.router, openai.router, jobs.one, health.router)
"""Routers of the ingestion API."""
STATUS: tuple[APIRouter, ...] = (jobs.listing, jobs.one, health.router)
"""Routers of the status API."""
AROUND: tuple[Callable[[Parts], Middleware], ...] = (lambda _: Middleware(RequestLog, observe=lambda *_: None),)
"""What lies around every request, the outermost first."""


def ingestion_app(parts: Parts) -> FastAPI:
    """Make the app that takes recordings."""
    return _app(parts, "Diary ingestion API", INGESTION)


def status_app(parts: Parts) -> FastAPI:
    """Make the app that tells of them."""
    return _app(parts, "Diary status API", STATUS)


def all_in_one(parts: Parts) -> FastAPI:
    """Make one app of both."""
    return _app(parts, "Diary API", (*INGESTION, *(router for router in STATUS if router not in INGESTION)))


def _app(parts: Parts, title: str, routers: Sequence[APIRouter]) -> FastAPI:
    app = FastAPI(title=title, version="1", middleware=[around(parts) for around in AROUND])
    app.state.parts = parts
    install(app)
    for router in routers:
        app.include_router(router)
    return app
