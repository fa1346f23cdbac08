"""Count runs for Prometheus. Imported only where that is asked for: prometheus-client is an optional dependency."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from kvdemo.server.observing.observed_backend import Observed
from kvdemo.server.observing.run_record import RunRecord

#: From a race of a few tokens to the longest measurement that a server runs by default, in seconds.
BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 7200)


class Metrics:
    """What has been counted since the server started."""

    def __init__(self) -> None:
        self._registry = into = CollectorRegistry()
        self._runs = Counter("kvdemo_runs", "Runs that have ended", ["kind", "outcome"], registry=into)
        self._tokens = Counter("kvdemo_tokens", "Tokens committed by runs that have ended", ["kind"], registry=into)
        self._seconds = Histogram("kvdemo_run_seconds", "Time on the device", ["kind"], buckets=BUCKETS, registry=into)
        self._waited = Histogram("kvdemo_wait_seconds", "Wait for the device", ["kind"], buckets=BUCKETS, registry=into)

    def add(self, record: RunRecord) -> None:
        """Count a run that has ended."""
        self._runs.labels(record.kind, record.outcome).inc()
        self._tokens.labels(record.kind).inc(record.tokens or 0)
        self._seconds.labels(record.kind).observe(record.seconds)
        self._waited.labels(record.kind).observe(record.waited_s)

    def watch(self, observed: Observed) -> None:
        """Tell also what is under way, whenever it is asked for."""
        self._registry.register(_Now(observed))

    def answer(self) -> tuple[bytes, str]:
        """Write everything as Prometheus reads it; returns the text and its type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Now(Collector):
    """How the server stands at the moment of asking."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def describe(self) -> Iterator[Metric]:
        """Describe nothing, so that registering asks the engine nothing."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("kvdemo_runs_waiting", "Runs that wait for the device", self._observed.waiting)
        yield GaugeMetricFamily("kvdemo_runs_running", "Runs that have the device", self._observed.running)
        if (restarts := self._observed.restarts) is not None:
            yield CounterMetricFamily("kvdemo_engine_restarts", "Restarts of the engine's process", restarts)
        loaded = GaugeMetricFamily("kvdemo_model_loaded", "The model that is held", labels=["model", "device"])
        if facts := self._observed.status()["model"]:
            loaded.add_metric([str(facts["id"]), str(facts["device"])], 1)
        yield loaded
