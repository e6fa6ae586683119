"""Every metric that we publish: its name, what it counts and its labels, said once.

Pure declarations; how they are counted and exposed is api/metrics.py's business. What surprises: labels hold words of a
few, such as a route's template or a stable code, never an id, a name or an address: each other value is a series that a
Prometheus keeps for ever.
"""

from dataclasses import dataclass
from typing import Literal

PREFIX = "diary_"


@dataclass(frozen=True)
class Metric:
    """One name in Prometheus."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


HTTP_REQUESTS = Metric(
    "diary_http_requests_total",
    "counter",
    "Requests that this process answered.",
    ("api", "method", "route", "status"),
)
HTTP_SECONDS = Metric(
    "diary_http_request_seconds",
    "histogram",
    "Seconds until the last byte of an answer.",
    ("api", "method", "route"),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0),
)
ENDED = Metric(
    "diary_recordings_ended_total",
    "counter",
    "Endings of recordings and refused submissions of the whole deployment, whoever worked on them.",
    ("status", "code"),
)
LEDGER_UP = Metric("diary_ledger_up", "gauge", "Whether the ledger answered this scrape.")

METRICS = (HTTP_REQUESTS, HTTP_SECONDS, ENDED, LEDGER_UP)
