"""Measures every instance once a period, and forgets what is older than is kept.

One worker at a time: what routers have counted is remembered by the one that measures. When another takes
over, its first period has no request counts: a gap, where a guess would be wrong.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from app.db import Database
from app.instances.jobs import instances_by_job
from app.metrics.plan import Requests, since, total_by_job
from app.models import Instance, MetricSample
from app.ports.requests import RequestCounters
from app.ports.scheduler import JobRef, Scheduler
from app.reconcile.lease import HeldLease
from jobs.render import service_name_of

_KEY = "all"
_ROWS_AT_ONCE = 1000

Counted = Mapping[str, Mapping[str, Requests]]


class MetricsReconciler:
    kind = "metrics"
    concurrency = 1

    def __init__(
        self,
        database: Database,
        scheduler: Scheduler,
        counters: RequestCounters,
        *,
        period_seconds: float,
        keep: timedelta,
    ) -> None:
        self.period = period_seconds
        self._database = database
        self._scheduler = scheduler
        self._counters = counters
        self._keep = keep
        self._before: Counted = {}
        self._last = float("-inf")

    async def pending(self) -> Sequence[str]:
        due = time.monotonic() - self._last >= self.period * 0.9
        return [_KEY] if due else []

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        if key != _KEY:
            return
        usage = await self._scheduler.usage()
        counted = await self._counters.read()
        async with self._database.read_session() as session:
            instances = await instances_by_job(session)
        used = total_by_job(
            (instances[each.ref], each.cpu_millis, each.memory_bytes)
            for each in usage
            if each.ref in instances
        )
        rows = _rows(instances, used, served(self._before, counted), datetime.now(UTC))
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows[start : start + _ROWS_AT_ONCE]
                alive = await session.scalars(
                    select(Instance.id)
                    .where(Instance.id.in_([row["instance_id"] for row in part]))
                    .with_for_update(read=True, key_share=True)
                )
                known = set(alive)
                here = [row for row in part if row["instance_id"] in known]
                if here:
                    await session.execute(insert(MetricSample).on_conflict_do_nothing(), here)
            oldest = datetime.now(UTC) - self._keep
            await session.execute(delete(MetricSample).where(MetricSample.at < oldest))
        self._before = {**self._before, **counted}
        self._last = time.monotonic()


def served(before: Counted, now: Counted) -> Mapping[str, Requests]:
    """By service, over all routers, what came since ``before``."""
    totals: dict[str, Requests] = {}
    for router, services in now.items():
        known = before.get(router)
        for service, counted in services.items():
            base = None if known is None else known.get(service, Requests())
            totals[service] = totals.get(service, Requests()) + since(base, counted)
    return totals


def _rows(
    instances: Mapping[JobRef, str],
    used: Mapping[str, tuple[int, int, int]],
    requests: Mapping[str, Requests],
    at: datetime,
) -> list[dict[str, Any]]:
    rows = []
    for ref, instance_id in instances.items():
        copies, cpu, memory = used.get(instance_id, (0, 0, 0))
        got = requests.get(service_name_of(ref.namespace, ref.id), Requests())
        if copies or got.total:
            rows.append(
                {
                    "instance_id": instance_id,
                    "at": at,
                    "copies": copies,
                    "cpu_millis": cpu,
                    "memory_bytes": memory,
                    "requests": got.total,
                    "errors": got.errors,
                    "latencies": list(got.latencies),
                }
            )
    return rows
