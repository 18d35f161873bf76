"""Measures every instance once a period, and forgets what is older than is kept.

One worker measures for all: the platform's row says when that was last. What routers have counted is remembered
by the one that measures. When another takes over, its first period has no request counts: a gap, where a guess
would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from app.db import Database
from app.ids import new_id
from app.instances.jobs import instances_by_job
from app.metrics import queries
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
        self._name = new_id("msr")

    async def pending(self) -> Sequence[str]:
        return [_KEY] if await self._is_due() else []

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        if key != _KEY:
            return
        if not await self._is_due():
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
        requests = served(self._before, counted)
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            now = await queries.measured(session, by=self._name)
            rows = _rows(instances, used, requests, now)
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
            await session.execute(delete(MetricSample).where(MetricSample.at < now - self._keep))
        self._before = {**self._before, **counted}

    async def _is_due(self) -> bool:
        """Forgets what routers had counted, when another worker has measured since."""
        async with self._database.read_session() as session:
            seconds, by = await queries.last_measured(session)
        if by != self._name:
            self._before = {}
        return seconds is None or seconds >= self.period * 0.9


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
