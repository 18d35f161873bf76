"""Graphs of an instance."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import strawberry

from app.graphql.context import Info
from app.metrics import queries
from app.metrics.plan import Point, points, quantile, valid_range


@strawberry.enum(description="What is measured.")
class MetricMeasurement(enum.Enum):
    COPIES = "copies"
    CPU_MILLIS = "cpu_millis"
    MEMORY_BYTES = "memory_bytes"
    HTTP_REQUESTS = "http_requests"
    HTTP_ERRORS = "http_errors"
    HTTP_LATENCY_P50_MS = "http_latency_p50_ms"
    HTTP_LATENCY_P95_MS = "http_latency_p95_ms"
    HTTP_LATENCY_P99_MS = "http_latency_p99_ms"


@strawberry.type
class MetricPoint:
    timestamp: datetime = strawberry.field(description="The end of the step.")
    value: float


@strawberry.type(description="By time; a step in which nothing was measured has no point.")
class MetricSeries:
    measurement: MetricMeasurement
    points: list[MetricPoint]


@strawberry.input
class MetricsInput:
    measurements: list[MetricMeasurement]
    start: datetime = strawberry.field(description="With a time zone.")
    end: datetime | None = strawberry.field(default=None, description="Now, when it is not given.")
    step_seconds: int | None = strawberry.field(
        default=None, description="By default so long that there are some 300 points."
    )


def _latency(share: float) -> Callable[[Point], float | None]:
    def value(point: Point) -> float | None:
        seconds = quantile(point.requests.latencies, share)
        return None if seconds is None else seconds * 1000

    return value


_VALUES: Mapping[MetricMeasurement, Callable[[Point], float | None]] = {
    MetricMeasurement.COPIES: lambda point: max(sample.copies for sample in point.samples),
    MetricMeasurement.CPU_MILLIS: lambda point: point.cpu_millis,
    MetricMeasurement.MEMORY_BYTES: lambda point: point.memory_bytes,
    MetricMeasurement.HTTP_REQUESTS: lambda point: point.requests.total,
    MetricMeasurement.HTTP_ERRORS: lambda point: point.requests.errors,
    MetricMeasurement.HTTP_LATENCY_P50_MS: _latency(0.5),
    MetricMeasurement.HTTP_LATENCY_P95_MS: _latency(0.95),
    MetricMeasurement.HTTP_LATENCY_P99_MS: _latency(0.99),
}


async def metrics_of(info: Info, instance_id: str, asked: MetricsInput) -> list[MetricSeries]:
    start, end, step = valid_range(asked.start, asked.end, asked.step_seconds, datetime.now(UTC))
    samples = await info.context.loaders.read(queries.samples, instance_id, (start, end))
    steps = points(samples, start, step)
    return [
        MetricSeries(
            measurement=measurement,
            points=[
                MetricPoint(timestamp=point.at, value=float(value))
                for point in steps
                if (value := _VALUES[measurement](point)) is not None
            ],
        )
        for measurement in dict.fromkeys(asked.measurements)
    ]
