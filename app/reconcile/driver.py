"""Drives reconcilers: finds their keys, takes the lease of each, calls, and keeps a status anyone may read.

Any number of workers may run: the lease decides who acts. Work is found by a wake (at once) and by a
poll each period (whatever was missed). A key that fails is tried again after a growing pause; so is
everything while the database is gone. Nothing here knows what is being reconciled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from app import tracing
from app.db import Database
from app.models import ReconcilerStatus
from app.reconcile.lane import Lane, Running
from app.reconcile.lease import HeldLease, LeaseBusy, LeaseLost, abandoned, acquire
from app.reconcile.reconciler import Reconciler
from app.reconcile.wake import WakeListener

log = logging.getLogger(__name__)

_STATUS_PERIOD = 2.0
_STOP_SECONDS = 10.0


def worker_name() -> str:
    """Unique a process start, and readable by an operator."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"


class Driver:
    """``run`` in a worker; ``run_until_idle`` in tests."""

    def __init__(
        self,
        database: Database,
        reconcilers: Sequence[Reconciler],
        *,
        listener: WakeListener | None = None,
        lease_seconds: float = 15.0,
        worker: str | None = None,
    ) -> None:
        self.worker = worker or worker_name()
        self._database = database
        self._listener = listener
        self._lease_seconds = lease_seconds
        self._lanes = {reconciler.kind: Lane(reconciler) for reconciler in reconcilers}
        self._raise_errors = False
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; then let go of everything, so that another worker can go on at once."""
        with self._hearing():
            loops = [
                asyncio.create_task(self._run_lane(lane), name=f"reconcile {lane.kind}")
                for lane in self._lanes.values()
            ]
            loops.append(asyncio.create_task(self._keep_status(), name="reconcile status"))
            stopped = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait({stopped, *loops}, return_when=asyncio.FIRST_COMPLETED)
            await self._let_go([stopped, *loops])
            for loop in done - {stopped}:
                loop.result()

    async def run_until_idle(self) -> None:
        """Reconcile until no poll finds a key, no wake has named one, and none is being worked on.

        Raises the first error. A key that another worker holds is waited for.
        """
        self._raise_errors, self._stopping = True, False
        try:
            with self._hearing():
                while await self._poll_all():
                    while any(lane.running or lane.waiting for lane in self._lanes.values()):
                        await self._step()
        finally:
            self._raise_errors = False
            await self._let_go([])

    def _hearing(self) -> contextlib.AbstractContextManager[None]:
        if self._listener is None:
            return contextlib.nullcontext()
        return self._listener.hearing(self._heard)

    async def _poll_all(self) -> bool:
        for lane in self._lanes.values():
            await self._look_for_work(lane)
        return any(lane.waiting for lane in self._lanes.values())

    async def _step(self) -> None:
        for lane in self._lanes.values():
            self._start_due(lane)
        tasks = {running.task for lane in self._lanes.values() for running in lane.running.values()}
        if not tasks:
            await asyncio.sleep(0.01)
            return
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def _heard(self, kind: str | None, key: str | None) -> None:
        if kind is None:
            for lane in self._lanes.values():
                lane.wake(None)
        elif kind in self._lanes:
            self._lanes[kind].wake(key)

    async def _run_lane(self, lane: Lane) -> None:
        while True:
            lane.changed.clear()
            await self._poll_if_due(lane)
            self._start_due(lane)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(lane.seconds_to_next()):
                    await lane.changed.wait()

    async def _poll_if_due(self, lane: Lane) -> None:
        if lane.next_poll > time.monotonic():
            return
        lane.started_at = datetime.now(UTC)
        try:
            await self._look_for_work(lane)
        except Exception as error:
            if lane.errors.get("") != str(error):
                log.exception("reconcile %s: looking for work failed", lane.kind)
            lane.polled(str(error))
        else:
            lane.polled(None)

    async def _look_for_work(self, lane: Lane) -> None:
        """What is pending, and what a worker that died was working on: it may have left something
        undone that no row tells of, such as tidying up."""
        keys = [*await lane.reconciler.pending(), *await abandoned(self._database, lane.kind)]
        for key in keys:
            lane.found_pending(key)

    def _start_due(self, lane: Lane) -> None:
        for key in lane.due():
            del lane.waiting[key]
            task = asyncio.create_task(self._reconcile(lane, key), name=f"{lane.kind} {key}")
            lane.running[key] = Running(task)

    async def _reconcile(self, lane: Lane, key: str) -> None:
        again = False
        try:
            again = await self._with_lease(lane, key)
            lane.succeeded(key)
        except LeaseBusy as busy:
            lane.postpone(key, busy.seconds + 0.02)
        except LeaseLost as lost:
            log.warning("reconcile %s", lost)
            lane.postpone(key, self._lease_seconds)
        except Exception as error:
            if lane.failed(key, _in_words(error)):
                log.exception("reconcile %s %s failed; it is tried again", lane.kind, key)
            if self._raise_errors:
                raise
        finally:
            lane.running.pop(key, None)
            if again:
                lane.wake(key)
            lane.changed.set()

    async def _with_lease(self, lane: Lane, key: str) -> bool:
        """Whether the key was woken after the reconciler last looked."""
        lease = await acquire(
            self._database, lane.kind, key, owner=self.worker, seconds=self._lease_seconds
        )
        running = lane.running[key]
        running.lease = lease
        try:
            if not self._stopping:
                await self._while_held(lane.reconciler, lease, running)
        finally:
            await lease.release()
        return lease.woken.is_set()

    async def _while_held(self, reconciler: Reconciler, lease: HeldLease, running: Running) -> None:
        """Reconcile; stop the reconciler when the lease is lost."""
        work = asyncio.create_task(_traced(reconciler, lease))
        running.work = work
        lost = asyncio.create_task(lease.lost.wait())
        try:
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise LeaseLost(f"{lease.kind} {lease.key}: the lease was lost while working")
            work.result()
        finally:
            for task in (work, lost):
                task.cancel()
            await asyncio.gather(work, lost, return_exceptions=True)

    async def _let_go(self, loops: list[asyncio.Task[object]]) -> None:
        """Stop looking for work, cancel what is under way, and release its leases."""
        self._stopping = True
        for loop in loops:
            loop.cancel()
        running = [each for lane in self._lanes.values() for each in lane.running.values()]
        for each in running:
            if each.work is not None:
                each.work.cancel()
        tasks = [*loops, *(each.task for each in running)]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
        for lane in self._lanes.values():
            lane.waiting.clear()
            await self._write_status(lane)

    async def _keep_status(self) -> None:
        while True:
            for lane in self._lanes.values():
                await self._write_status(lane)
            await asyncio.sleep(_STATUS_PERIOD)

    async def _write_status(self, lane: Lane) -> None:
        if not lane.dirty:
            return
        lane.dirty = False
        values = {
            "worker": self.worker,
            "last_started_at": lane.started_at,
            "last_finished_at": lane.finished_at,
            "last_error": lane.last_error(),
            "detail": lane.detail(),
        }
        statement = insert(ReconcilerStatus).values(name=lane.kind, **values)
        try:
            async with self._database.write_transaction() as session:
                await session.execute(
                    statement.on_conflict_do_update(index_elements=["name"], set_=values)
                )
        except asyncio.CancelledError:
            lane.dirty = True
            raise
        except (SQLAlchemyError, OSError) as error:
            lane.dirty = True
            log.debug("status of %s was not written: %s", lane.kind, error)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:2000]


async def _traced(reconciler: Reconciler, lease: HeldLease) -> None:
    with tracing.span(f"reconcile {reconciler.kind}", key=lease.key):
        await reconciler.reconcile(lease.key, lease)
