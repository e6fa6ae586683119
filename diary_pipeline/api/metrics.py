"""Counting requests, and the page that Prometheus reads.

Names and labels are declared in observability/metrics.py. What surprises: what became of recordings is not counted in
this process. Work fails in others, so those sums are read from the ledger at each scrape, a few rows; every replica
tells the same, and a dashboard takes their maximum.
"""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from diary_pipeline.api.parts import Parts
from diary_pipeline.api.problems import answers
from diary_pipeline.ledger.endings import read_endings
from diary_pipeline.observability.logs import log
from diary_pipeline.observability.metrics import ENDED, HTTP_REQUESTS, HTTP_SECONDS, LEDGER_UP

router = APIRouter(tags=["operations"])
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
logger = log(__name__)


class Metrics(Collector):
    """The counters of one app."""

    def __init__(self, parts: Parts, api: str) -> None:
        """`api`: which of the apps it is, for whoever adds them up."""
        # They would be a second series for each, with the time at which the first one began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._parts, self._api = parts, api
        self._requests = Counter(HTTP_REQUESTS.name, HTTP_REQUESTS.help, HTTP_REQUESTS.labels, registry=self.registry)
        self._seconds = Histogram(
            HTTP_SECONDS.name,
            HTTP_SECONDS.help,
            HTTP_SECONDS.labels,
            buckets=HTTP_SECONDS.buckets,
            registry=self.registry,
        )
        self.registry.register(self)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(self._api, method, route, str(status)).inc()
        self._seconds.labels(self._api, method, route).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Read from the ledger what others have ended."""
        ended = CounterMetricFamily(ENDED.name, ENDED.help, labels=ENDED.labels)
        try:
            with self._parts.ledger.reading() as conn:
                sums = read_endings(conn)
        except Exception as error:  # noqa: BLE001 - a scrape tells that the ledger is away, and all else that it knows
            logger.warning("ledger_not_read", error=error)
            yield GaugeMetricFamily(LEDGER_UP.name, LEDGER_UP.help, value=0)
            return
        for (status, code), n in sums.items():
            ended.add_metric((status, code), n)
        yield GaugeMetricFamily(LEDGER_UP.name, LEDGER_UP.help, value=1)
        yield ended

    def describe(self) -> Iterable[Metric]:
        """Name nothing while it is registered: that would ask the ledger."""
        return ()


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses=answers(405, 503)
    | {200: {"description": "Metrics.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
def get_metrics(request: Request) -> Response:
    """Give the metrics of this process in Prometheus' text format."""
    metrics: Metrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=MEDIA_TYPE)
