"""A reconciler that only records what it was asked, and does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import text

from app.db import Database
from app.reconcile.lease import HeldLease

Work = Callable[[str, HeldLease], Awaitable[None]]


class Recorder:
    kind = "record"
    concurrency = 8

    def __init__(self, *, period: float = 60.0, work: Work | None = None) -> None:
        self.period = period
        self.keys: list[str] = []
        self.done: list[str] = []
        self.polls = 0
        self.changed = asyncio.Event()
        self._work = work

    async def pending(self) -> Sequence[str]:
        self.polls += 1
        self.changed.set()
        return [key for key in self.keys if key not in self.done]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        if self._work is not None:
            await self._work(key, lease)
        self.done.append(key)
        self.changed.set()

    async def until(self, met: Callable[[], bool], *, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not met():
                self.changed.clear()
                await self.changed.wait()


async def wake(database: Database, key: str, kind: str = "record") -> None:
    async with database.write_transaction() as session:
        await session.wake(kind, key)


async def disconnect_everybody(database: Database) -> None:
    """As a restart of Postgres does to its clients."""
    async with database.read_session() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
