"""From counters that only grow to what happened in a period, and from periods to a graph. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.errors import InvalidInput

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. The router is told to count by these (``app.adapters.traefik``)."""
MAX_POINTS = 1500
MIN_STEP = timedelta(seconds=15)


@dataclass(frozen=True)
class Requests:
    """Of one service: since the router started, or in a period."""

    total: int = 0
    errors: int = 0
    latencies: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)

    def __add__(self, other: Requests) -> Requests:
        return Requests(
            self.total + other.total,
            self.errors + other.errors,
            tuple(a + b for a, b in zip(self.latencies, other.latencies, strict=True)),
        )


def since(before: Requests | None, now: Requests) -> Requests:
    """What came in between. A router that started anew counts from nothing; of one never seen before,
    what it has counted so far belongs to no known period."""
    if before is None:
        return Requests()
    if now.total < before.total:
        return now
    return Requests(
        now.total - before.total,
        max(0, now.errors - before.errors),
        tuple(max(0, a - b) for a, b in zip(now.latencies, before.latencies, strict=True)),
    )


def quantile(latencies: Sequence[int], share: float) -> float | None:
    """Seconds within which ``share`` of the requests were answered, evenly spread within each bound.

    None without requests; the last bound for what was slower than it.
    """
    total = sum(latencies)
    if total == 0:
        return None
    wanted, counted, low = share * total, 0, 0.0
    for bound, count in zip(BOUNDS, latencies, strict=False):
        if count and counted + count >= wanted:
            return low + (bound - low) * (wanted - counted) / count
        counted, low = counted + count, bound
    return BOUNDS[-1]


@dataclass(frozen=True)
class Sample:
    at: datetime
    copies: int
    cpu_millis: int
    memory_bytes: int
    requests: Requests


@dataclass(frozen=True)
class Point:
    """``at`` is the end of the step."""

    at: datetime
    samples: Sequence[Sample]

    @property
    def cpu_millis(self) -> float:
        return sum(sample.cpu_millis for sample in self.samples) / len(self.samples)

    @property
    def memory_bytes(self) -> float:
        return max(sample.memory_bytes for sample in self.samples)

    @property
    def requests(self) -> Requests:
        total = Requests()
        for sample in self.samples:
            total += sample.requests
        return total


def points(samples: Iterable[Sample], start: datetime, step: timedelta) -> list[Point]:
    """By steps from ``start`` on; a step without a sample is left out, and is no zero."""
    by_step: dict[int, list[Sample]] = {}
    for sample in samples:
        number = int((sample.at - start).total_seconds() // step.total_seconds())
        by_step.setdefault(number, []).append(sample)
    return [Point(start + step * (number + 1), by_step[number]) for number in sorted(by_step)]


def valid_range(
    start: datetime, end: datetime | None, step_seconds: int | None, now: datetime
) -> tuple[datetime, datetime, timedelta]:
    """Start, end and step; the step is at least so long that ``MAX_POINTS`` are enough.

    Raises InvalidInput for times without a zone, an end before the start, or a step that is too short.
    """
    end = now if end is None else end
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidInput(
                f"{name} needs a time zone.", field=name, hint="Such as …T12:00:00Z."
            )
    if end <= start:
        raise InvalidInput("end is not after start.", field="end")
    least = max(MIN_STEP, (end - start) / MAX_POINTS)
    if step_seconds is None:
        return start.astimezone(UTC), end.astimezone(UTC), max(least, (end - start) / 300)
    if step_seconds < least.total_seconds():
        raise InvalidInput(
            f"stepSeconds is at least {int(least.total_seconds()) + 1} for this range.",
            field="stepSeconds",
            hint=f"A graph has at most {MAX_POINTS} points.",
        )
    return start.astimezone(UTC), end.astimezone(UTC), timedelta(seconds=step_seconds)


def total_by_job(
    usage: Iterable[tuple[str, int, int]],
) -> Mapping[str, tuple[int, int, int]]:
    """``(instance, millis, bytes)`` of each copy → copies, millis and bytes of each instance."""
    totals: dict[str, tuple[int, int, int]] = {}
    for instance, millis, size in usage:
        copies, cpu, memory = totals.get(instance, (0, 0, 0))
        totals[instance] = (copies + 1, cpu + millis, memory + size)
    return totals
