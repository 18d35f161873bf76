"""Transaction 1 of a push, begun while git still checks the objects, and committed once it has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from app.db import Database, WriteSession
from app.models import Push
from app.ports.repositories import RefUpdate

Record = Callable[[WriteSession, Sequence[RefUpdate]], Awaitable[list[Push]]]

_SECONDS = 1.0
"""For which a connection may wait for git; a push that is checked for longer is recorded anew."""


class Recording:
    """Rolled back unless ``commit`` is awaited: what git refuses was never there."""

    def __init__(self, database: Database, record: Record, updates: Sequence[RefUpdate]) -> None:
        self.updates = list(updates)
        self._checked = asyncio.Event()
        self._transaction = asyncio.create_task(self._record(database, record))

    async def _record(self, database: Database, record: Record) -> list[Push]:
        async with database.write_transaction() as session:
            pushes = await record(session, self.updates)
            await session.flush()
            async with asyncio.timeout(_SECONDS):
                await self._checked.wait()
        return pushes

    async def commit(self) -> list[Push] | None:
        """None when git took too long. Raises what recording raised."""
        self._checked.set()
        try:
            return await self._transaction
        except TimeoutError:
            return None

    async def drop(self) -> None:
        """Nothing after ``commit``."""
        self._transaction.cancel()
        await asyncio.gather(self._transaction, return_exceptions=True)
