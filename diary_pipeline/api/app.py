"""The two apps, made of one set of routers: what each serves, and what lies around every request.

A noun's routes stand in its own file; here is only which app has them. `all_in_one` is both on one port.
"""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware

from diary_pipeline.api import (
    corrections,
    events,
    health,
    jobs,
    metrics,
    openai,
    people,
    quarantine,
    results,
    search,
    submit,
    tus,
    uploads,
    webhook_routes,
)
from diary_pipeline.api.asked import Heads, check_query
from diary_pipeline.api.browsers import origins
from diary_pipeline.api.docs_page import add_docs
from diary_pipeline.api.document import TITLES, describe
from diary_pipeline.api.door import door
from diary_pipeline.api.guards import bodies
from diary_pipeline.api.headers import SecurityHeaders
from diary_pipeline.api.metrics import Metrics
from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import install
from diary_pipeline.api.request_log import RequestLog
from diary_pipeline.api.watch import Watch

_OPERATIONS = (health.router, metrics.router)
INGESTION: tuple[APIRouter, ...] = (submit.router, uploads.router, tus.router, openai.router, jobs.one, *_OPERATIONS)
"""Routers of the ingestion API."""
STATUS: tuple[APIRouter, ...] = (
    jobs.listing,
    jobs.one,
    events.router,
    results.router,
    webhook_routes.router,
    corrections.router,
    search.router,
    people.router,
    quarantine.router,
    *_OPERATIONS,
)
"""Routers of the status API."""
AROUND: tuple[Callable[[Parts], Middleware], ...] = (origins, door, bodies)
"""What lies around every request, inside of its headers and its line in the log; the outermost first."""


def ingestion_app(parts: Parts) -> FastAPI:
    """Make the app that takes recordings."""
    return _app(parts, "ingestion", INGESTION)


def status_app(parts: Parts) -> FastAPI:
    """Make the app that tells of them."""
    return _app(parts, "status", STATUS)


def all_in_one(parts: Parts) -> FastAPI:
    """Make one app of both."""
    return _app(parts, "all", (*INGESTION, *(router for router in STATUS if router not in INGESTION)))


def _app(parts: Parts, name: str, routers: Sequence[APIRouter]) -> FastAPI:
    counted = Metrics(parts, name)
    logged = Middleware(RequestLog, observe=counted.observe)
    routes = [route for router in routers for route in router.routes]
    heads = Middleware(Heads, routes=routes)
    around = [Middleware(SecurityHeaders), logged, heads, *(layer(parts) for layer in AROUND)]
    shown = not parts.settings.production
    app = FastAPI(
        middleware=around,
        dependencies=[Depends(check_query)],
        docs_url=None,
        openapi_url="/openapi.json" if shown else None,
        redoc_url=None,
        redirect_slashes=False,  # the address would be made of the Host header, and lead out of a proxy's TLS
    )
    app.state.parts, app.state.metrics, app.state.watch = parts, counted, Watch(parts.ledger)
    app.state.probes = health.probes_of(parts)
    install(app, routes)
    for router in routers:
        app.include_router(router)
    describe(app, name)
    if shown:
        add_docs(app, TITLES[name])
    return app
