"""`/metrics`: what Prometheus scrapes. Counted from the request records, so that both tell the same.

Labels are taken from our own tables (a route as it is declared, a dialect, a status), never from a request, so that no
client can make them grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from npurun_tui import __version__
from npurun_tui.server.records import RequestRecord
from npurun_tui.server.routing import Answer, Route

if TYPE_CHECKING:
    from npurun_tui.engine.engine import EngineStatus

SECONDS: Final = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
RATES: Final = (1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 400)
NO_ROUTE: Final = "none"


class Metrics:
    """The counters of one running server. Told by the guard on the server's loop."""

    def __init__(self, engine: Callable[[], EngineStatus]) -> None:
        """`engine` gives the engine's latest snapshot; it is called from the server's thread."""
        self.registry = registry = CollectorRegistry()
        labels = ("dialect", "route", "status")
        self._requests = Counter("npurun_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "npurun_request_seconds",
            "From a request's head to the last byte of its answer.",
            ("dialect", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self._queue = _seconds("npurun_queue_seconds", "Waiting for the permit.", registry)
        self._ttft = _seconds("npurun_ttft_seconds", "Arrival to the first token.", registry)
        self._rate = Histogram(
            "npurun_decode_tokens_per_second",
            "Tokens after the first, by the time after the first.",
            buckets=RATES,
            registry=registry,
        )
        self._tokens = Counter(
            "npurun_tokens",
            "Tokens by kind: prefilled, cached (of the prompt, not prefilled again), generated.",
            ("kind",),
            registry=registry,
        )
        self._active = 0
        registry.register(_Engine(engine, lambda: self._active))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def opened(self, record: RequestRecord) -> None:
        """A request has arrived."""
        del record
        self._active += 1

    def closed(self, record: RequestRecord) -> None:
        """It has ended."""
        self._active -= 1
        dialect, route = record.dialect or "plain", record.route or NO_ROUTE
        self._requests.labels(dialect, route, str(record.status)).inc()
        if record.total_ms is not None:
            self._seconds.labels(dialect, route).observe(record.total_ms / 1000)
        if record.queue_ms is not None:
            self._queue.observe(record.queue_ms / 1000)
        if record.ttft_ms is not None:
            self._ttft.observe(record.ttft_ms / 1000)
        if record.decode_tps:
            self._rate.observe(record.decode_tps)
        if record.completion_tokens is not None:
            prompt, cached = record.prompt_tokens or 0, record.cached_tokens or 0
            self._tokens.labels("prefilled").inc(max(prompt - cached, 0))
            self._tokens.labels("cached").inc(cached)
            self._tokens.labels("generated").inc(record.completion_tokens)

    def routes(self) -> list[Route]:
        """The one route."""
        return [
            Route(
                "GET",
                "/metrics",
                self._answer,
                "plain",
                "infer",
                "Counters for Prometheus",
                answers={
                    200: Answer("Prometheus' text format", str, CONTENT_TYPE_PLAIN_0_0_4),
                },
            )
        ]

    async def _answer(self, request: Request) -> Response:
        del request
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _seconds(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, text, buckets=SECONDS, registry=registry)


class _Engine(Collector):
    """The engine as it is at the moment of the scrape."""

    def __init__(self, engine: Callable[[], EngineStatus], active: Callable[[], int]) -> None:
        self._engine = engine
        self._active = active

    def collect(self) -> Iterable[Metric]:
        status = self._engine()
        yield _gauge("npurun_requests_active", "Requests on their way.", self._active())
        yield _gauge("npurun_queue_length", "Who waits for the permit.", len(status.waiting))
        yield _gauge("npurun_permit_held", "1 while the permit is held.", bool(status.holder))
        info = GaugeMetricFamily(
            "npurun_engine", "The engine: 1 at its state.", labels=("state", "model", "place")
        )
        model = status.model
        info.add_metric(
            [status.state.value, model.name if model else "", model.place if model else ""], 1
        )
        yield info
        version = GaugeMetricFamily("npurun_build", "The program.", labels=("version",))
        version.add_metric([__version__], 1)
        yield version


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
