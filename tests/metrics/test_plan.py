"""Counters become periods, and periods a graph."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.metrics.plan import (
    BOUNDS,
    MAX_POINTS,
    Requests,
    Sample,
    points,
    quantile,
    since,
    total_by_job,
    valid_range,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
NONE = (0,) * (len(BOUNDS) + 1)


def latencies(**counts: int) -> tuple[int, ...]:
    """``at_3=5``: five requests within the fourth bound."""
    found = list(NONE)
    for name, count in counts.items():
        found[int(name.removeprefix("at_"))] = count
    return tuple(found)


def test_a_router_that_started_anew_counts_from_nothing() -> None:
    before = Requests(100, 7, latencies(at_0=100))
    after = Requests(130, 8, latencies(at_0=120, at_1=10))
    assert since(before, after) == Requests(30, 1, latencies(at_0=20, at_1=10))
    assert since(before, Requests(4, 1, latencies(at_2=4))) == Requests(4, 1, latencies(at_2=4))
    assert since(None, after) == Requests()


def test_quantiles_lie_where_the_requests_do() -> None:
    assert quantile(NONE, 0.5) is None
    assert quantile(latencies(at_0=10), 0.5) == pytest.approx(0.0025)
    assert quantile(latencies(at_0=90, at_7=10), 0.95) == pytest.approx(0.75)
    assert quantile(latencies(at_11=1), 0.5) == BOUNDS[-1]


@given(
    st.lists(st.integers(0, 1000), min_size=len(NONE), max_size=len(NONE)),
    st.lists(st.floats(0.01, 0.99), min_size=2, max_size=5),
)
def test_a_larger_share_takes_no_less_time(counts: list[int], shares: list[float]) -> None:
    found = [quantile(counts, share) for share in sorted(shares)]
    values = [value for value in found if value is not None]
    assert values == sorted(values)
    assert len(values) == (len(found) if sum(counts) else 0)


def test_steps_without_a_sample_are_left_out() -> None:
    minute = timedelta(minutes=1)
    samples = [
        Sample(START + minute * at, 1, cpu, memory, Requests(10))
        for at, cpu, memory in ((0, 100, 5), (1, 300, 9), (8, 50, 7))
    ]
    found = points(samples, START, 2 * minute)
    assert [point.at for point in found] == [START + 2 * minute, START + 10 * minute]
    assert (found[0].cpu_millis, found[0].memory_bytes, found[0].requests.total) == (200, 9, 20)


def test_a_range_has_a_bounded_number_of_points() -> None:
    day = START + timedelta(days=1)
    start, end, step = valid_range(START, day, None, day)
    assert (end - start) / step == pytest.approx(300)
    with pytest.raises(InvalidInput, match="at least 58"):
        valid_range(START, day, 15, day)
    with pytest.raises(InvalidInput, match="end is not after"):
        valid_range(day, START, None, day)
    with pytest.raises(InvalidInput, match="time zone"):
        valid_range(START.replace(tzinfo=None), day, None, day)
    assert (end - start) / valid_range(START, day, 60, day)[2] <= MAX_POINTS


def test_copies_of_an_instance_are_added_up() -> None:
    assert total_by_job([("a", 100, 5), ("b", 1, 1), ("a", 50, 6)]) == {
        "a": (2, 150, 11),
        "b": (1, 1, 1),
    }
