"""The reconcilers of logs.

``CopiesReconciler``: one worker watches which containers there are, and wakes the instance of each that came,
ended or went; where one has only changed, who tells of it (``app/events/reconcile.py``). ``LogsReconciler``: under an instance's lease, one follow for each of its containers that is
not read to its end, for as long as there are any. ``LogPruneReconciler``: keeps logs within their bounds,
and removes those of instances that are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from app.db import Database
from app.events import containers
from app.logs import queries
from app.logs.container import Container
from app.ports.logs import LogStore, LogWriter
from app.ports.scheduler import CopySummary, CopyWatch, JobRef, Scheduler
from app.reconcile.lease import HeldLease
from app.settings import Settings

_ALL = "all"
_WATCH_SECONDS = 240.0
_LOOK_AGAIN_SECONDS = 60.0
"""Without a wake, which may be lost."""
_BETWEEN_WAKES = 0.2
"""Seconds; the changes of a rollout come in crowds."""


class CopiesReconciler:
    kind = "copies"
    period = 60.0
    concurrency = 1

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self._database = database
        self._scheduler = scheduler

    async def pending(self) -> Sequence[str]:
        return [_ALL]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        """For as long as the lease holds. The first look wakes whatever is unfinished."""
        if key != _ALL:
            return
        known = CopyWatch({}, "")
        while True:
            seen = await self._scheduler.watch_copies(known.cursor, timeout=_WATCH_SECONDS)
            to_collect = _differing(known.copies, seen.copies)
            changed = to_collect | _differing(known.marks, seen.marks)
            known = seen
            if changed:
                await self._wake(changed, to_collect, lease)
            await asyncio.sleep(_BETWEEN_WAKES)

    async def _wake(
        self, changed: Collection[JobRef], to_collect: Collection[JobRef], lease: HeldLease
    ) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            found = await queries.instances_of(session, changed)
            for ref, instance_id in found.items():
                await session.wake(containers.KIND, instance_id)
                if ref in to_collect:
                    await session.wake(queries.KIND, instance_id)


def _differing(
    before: Mapping[tuple[JobRef, str], object], now: Mapping[tuple[JobRef, str], object]
) -> set[JobRef]:
    """Jobs of which a copy came, went or is another than before."""
    gone = {ref for ref, _ in before.keys() - now.keys()}
    return gone | {copy[0] for copy, value in now.items() if before.get(copy) != value}


class LogsReconciler:
    kind = queries.KIND
    period = 30.0
    concurrency = 100_000
    """Each waits nearly all of the time."""

    def __init__(self, database: Database, scheduler: Scheduler, store: LogStore) -> None:
        self._database = database
        self._scheduler = scheduler
        self._store = store

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await queries.uncollected(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        ref = await self._job_of(key)
        if ref is None:
            await self._store.delete(key)
            return
        if not await self._scheduler.list_copies(ref):
            return
        with contextlib.closing(self._store.open_writer(key)) as writer:
            collection = _Collection(self, key, ref, writer, lease)
            try:
                await collection.run()
            finally:
                await collection.close()
        if await self._job_of(key) is None:
            await self._store.delete(key)

    async def _job_of(self, instance_id: str) -> JobRef | None:
        async with self._database.read_session() as session:
            return await queries.job_of(session, instance_id)

    async def _deployments_of(
        self, instance_id: str, release_ids: Collection[str]
    ) -> Mapping[str, str]:
        async with self._database.read_session() as session:
            return await queries.deployments_of(session, instance_id, release_ids)


class _Collection:
    """An instance's containers that are being read."""

    def __init__(
        self,
        parts: LogsReconciler,
        instance_id: str,
        ref: JobRef,
        writer: LogWriter,
        lease: HeldLease,
    ) -> None:
        self._parts = parts
        self._instance_id = instance_id
        self._ref = ref
        self._writer = writer
        self._lease = lease
        self._containers: dict[str, Container] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until all of them are read to their ends."""
        while True:
            self._lease.woken.clear()
            if await self._parts._job_of(self._instance_id) != self._ref:
                return
            await self._match(await self._parts._scheduler.list_copies(self._ref))
            if not self._tasks:
                return
            await self._wait()
            self._writer.tidy()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _match(self, copies: Sequence[CopySummary]) -> None:
        """Read what there is and is not read, and tell what ended."""
        progress = self._writer.progress
        listed = {copy.id: copy for copy in copies}
        done = {container_id for container_id, each in progress.items() if each.ended}
        for container_id in done - listed.keys():
            self._writer.forget(container_id)
        new = (listed.keys() | progress.keys()) - done - self._tasks.keys()
        releases = {listed[each].release_id for each in new if each in listed}
        deployments = await self._parts._deployments_of(self._instance_id, releases)
        for container_id in new:
            copy = listed.get(container_id)
            self._begin(container_id, deployments.get(copy.release_id, "") if copy else "")
        for container_id, container in self._containers.items():
            if container_id not in listed or listed[container_id].ended:
                container.ended.set()

    def _begin(self, container_id: str, deployment_id: str) -> None:
        container = self._containers[container_id] = Container(
            self._parts._scheduler,
            self._writer,
            self._ref,
            container_id,
            deployment_id,
            self._lease.check,
        )
        self._tasks[container_id] = asyncio.create_task(
            container.collect(), name=f"collect {container_id}"
        )

    async def _wait(self) -> None:
        """For a wake, or a container's end. Raises what one of them raised."""
        woken = asyncio.create_task(self._lease.woken.wait())
        try:
            await asyncio.wait(
                {woken, *self._tasks.values()},
                timeout=_LOOK_AGAIN_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            woken.cancel()
        for container_id, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[container_id], self._containers[container_id]
                task.result()


class LogPruneReconciler:
    kind = "log-prune"
    period = 60.0
    concurrency = 1

    def __init__(self, database: Database, store: LogStore, settings: Settings) -> None:
        self._database = database
        self._store = store
        self._max_bytes = settings.log_keep_mb * 1024 * 1024
        self._max_age = timedelta(hours=settings.log_keep_hours)

    async def pending(self) -> Sequence[str]:
        return [_ALL]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        if key != _ALL:
            return
        held = await self._store.instances()
        async with self._database.read_session() as session:
            known = await queries.existing(session, held)
        for instance_id in held:
            lease.check()
            if instance_id in known:
                await self._store.prune(
                    instance_id, max_bytes=self._max_bytes, max_age=self._max_age
                )
            else:
                await self._store.delete(instance_id)
