"""Metrics for Prometheus: plain numbers where the work is done, read when somebody asks.

Counting must cost a hot path nothing: the parts of a service keep integers and Histograms, and
one function per service makes metric families of them at each scrape.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `Metrics.text` returns."""


class Histogram:
    """How often something took how long."""

    __slots__ = ("_counts", "_limits", "sum")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = tuple(limits)
        self._counts = [0] * (len(self._limits) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._limits, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Return each upper limit, and how many were not above it."""
        found, total = [], 0
        for limit, count in zip((*self._limits, float("inf")), self._counts, strict=True):
            total += count
            found.append(("+Inf" if limit == float("inf") else str(limit), float(total)))
        return found


def gauge(name: str, help: str, value: float) -> Metric:
    """Return a number that goes up and down; or one that etcd calls so."""
    return GaugeMetricFamily(name, help, value=value)


def counter(name: str, help: str, value: float) -> Metric:
    """Return a number that only grows; its name ends in `_total`."""
    return CounterMetricFamily(name.removesuffix("_total"), help, value=value)


def histogram(name: str, help: str, value: Histogram) -> Metric:
    """Return a distribution."""
    return HistogramMetricFamily(name, help, buckets=value.cumulative(), sum_value=value.sum)


def labelled(
    name: str, help: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    """Return a gauge for each combination of labels; a counter if its name ends in `_total`."""
    family: GaugeMetricFamily | CounterMetricFamily
    if name.endswith("_total"):
        family = CounterMetricFamily(name.removesuffix("_total"), help, labels=labels)
    else:
        family = GaugeMetricFamily(name, help, labels=labels)
    for which, value in values:
        family.add_metric(which, value)
    return family


class Metrics:
    """The metrics of a process, and of the service that runs in it."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Service(collect))

    def text(self) -> bytes:
        """Return all as Prometheus reads it."""
        return generate_latest(self._registry)


class _Service(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are not checked before the first scrape, when parts may not be there."""
        return ()
