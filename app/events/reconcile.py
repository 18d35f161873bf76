"""Tells what happens to containers, and prunes what was told long ago.

Woken for an instance by whoever watches the engine (``app/logs/collect.py:CopiesReconciler``), it looks,
compares with what it told last, and stores both in one transaction: after a crash it neither repeats nor
forgets an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database, WriteSession
from app.events import queries, service
from app.events.containers import KIND, Known, happened, known_of
from app.logs.queries import job_of
from app.models import Instance, KnownContainer
from app.ports.scheduler import Allocation, Scheduler
from app.reconcile.lease import HeldLease

_ALL = "all"


class ContainersReconciler:
    kind = KIND
    period = 300.0
    """A wake may be lost; this is how late an event may be told then."""
    concurrency = 8

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self._database = database
        self._scheduler = scheduler

    async def pending(self) -> Sequence[str]:
        """Whatever has run."""
        async with self._database.read_session() as session:
            running = Instance.current_release_id.is_not(None)
            return (await session.scalars(select(Instance.id).where(running))).all()

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            ref = await job_of(session, key)
        if ref is None:
            return
        seen = (await self._scheduler.observe(ref)).allocations
        async with self._database.read_session() as session:
            before = await _known(session, key)
        if set(before) == {known_of(each) for each in seen}:
            return
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            before = await _known(session, key)
            for told in happened(before, seen):
                await service.tell_of_instance(session, told.kind, key, told.payload)
            await _store(session, key, before, seen)


async def _known(session: AsyncSession, instance_id: str) -> list[Known]:
    rows = await session.scalars(
        select(KnownContainer).where(KnownContainer.instance_id == instance_id)
    )
    return [
        Known(row.id, row.name, row.release_id, row.started, row.ended, row.healthy, row.restarts)
        for row in rows
    ]


async def _store(
    session: WriteSession, instance_id: str, before: Sequence[Known], now: Sequence[Allocation]
) -> None:
    kept = {each.id for each in now}
    gone = [each.id for each in before if each.id not in kept]
    await session.execute(
        delete(KnownContainer).where(
            KnownContainer.instance_id == instance_id, KnownContainer.id.in_(gone)
        )
    )
    for each in now:
        await session.merge(KnownContainer(instance_id=instance_id, **asdict(known_of(each))))


class EventPruneReconciler:
    kind = "event-prune"
    period = 3600.0
    concurrency = 1

    def __init__(self, database: Database, *, keep: timedelta) -> None:
        self._database = database
        self._keep = keep

    async def pending(self) -> Sequence[str]:
        return [_ALL]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await queries.prune(session, datetime.now(UTC) - self._keep)
