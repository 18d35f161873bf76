"""The page for Prometheus. What the database knows is the same from every API process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.http.measured import Counted
from app.metrics.plan import BOUNDS
from app.metrics.queries import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PLACE = ("organization", "project", "app", "environment")


@dataclass(eq=False)
class _Once(Collector):
    """What was collected for this one page."""

    found: list[Metric] = field(default_factory=list)

    def collect(self) -> Iterable[Metric]:
        return self.found


def page(state: State, counted: Counted, *, period: timedelta) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Once([*_platform(state), *_requests(counted), *_instances(state, period)]))
    ProcessCollector(namespace="paas_api", registry=registry)
    return generate_latest(registry)


def _platform(state: State) -> Iterator[Metric]:
    yield _gauge(
        "paas_deployments_unfinished",
        "Deployments that have not ended.",
        "status",
        state.deployments,
    )
    yield _gauge("paas_builds_unfinished", "Builds that have not ended.", "status", state.builds)
    pushes = GaugeMetricFamily("paas_pushes_unsettled", "Pushes received and not yet settled.")
    pushes.add_metric([], state.pushes)
    yield pushes
    passed = GaugeMetricFamily(
        "paas_reconciler_last_pass_seconds", "Unix time of its last pass.", labels=["kind"]
    )
    for name in ("waiting", "running", "failing"):
        keys = {kind: detail.get(name, 0) for kind, detail in state.reconcilers.items()}
        yield _gauge(f"paas_reconciler_{name}", f"Keys that are {name}.", "kind", keys)
    for kind, detail in state.reconcilers.items():
        if detail.get("finished_at"):
            passed.add_metric([kind], detail["finished_at"])
    yield passed


def _requests(counted: Counted) -> Iterator[Metric]:
    family = HistogramMetricFamily(
        "paas_api_request_seconds", "Requests to this API process.", labels=["part", "code"]
    )
    for (part, code), answers in sorted(counted.items()):
        below, total = [], 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), answers.by_bound, strict=True):
            total += count
            below.append((bound, float(total)))
        family.add_metric([part, code], below, answers.seconds)
    yield family


def _instances(state: State, period: timedelta) -> Iterator[Metric]:
    """Of the last period that was measured; what has not been measured for a while is left out."""
    since = datetime.now(UTC) - 3 * period
    fresh = [latest for latest in state.instances if latest.at >= since]
    seconds = period.total_seconds()
    shown: list[tuple[str, str, Any]] = [
        ("paas_instance_copies", "Running copies.", lambda s: s.copies),
        ("paas_instance_cpu_cores", "CPUs in use.", lambda s: s.cpu_millis / 1000),
        ("paas_instance_memory_bytes", "Memory in use.", lambda s: s.memory_bytes),
        ("paas_instance_requests_per_second", "Requests.", lambda s: s.requests / seconds),
        ("paas_instance_errors_per_second", "Answers from 500 on.", lambda s: s.errors / seconds),
    ]
    for name, words, value in shown:
        family = GaugeMetricFamily(name, words, labels=_PLACE)
        for latest in fresh:
            family.add_metric(latest.place, value(latest))
        yield family


def _gauge(name: str, words: str, label: str, values: dict[str, Any]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
