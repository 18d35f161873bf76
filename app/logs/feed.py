"""What feeds live views of logs: the store's own growth, read once an instance however many look on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Hashable

from app.live.fanout import Chunk, Fanouts
from app.ports.logs import LogFilter, LogLine, LogStore


class StoredLines:
    """One instance's log as a ``app.live.fanout.Source``. A cursor that a viewer gives is checked before."""

    def __init__(self, store: LogStore, instance_id: str) -> None:
        self._store = store
        self._instance_id = instance_id

    async def newest(self) -> int:
        return await self._store.newest(self._instance_id)

    async def read(self, after: int, until: int, limit: int) -> Chunk[LogLine]:
        page = await self._store.page(self._instance_id, LogFilter(), limit=limit, after=after)
        lines = [(line.position, line) for line in page.lines if line.position <= until]
        return Chunk(lines, page.gap)

    async def follow(self, after: int) -> AsyncGenerator[Chunk[LogLine], None]:
        news = self._store.follow(self._instance_id, after)
        async with contextlib.aclosing(news):
            async for each in news:
                yield Chunk([(line.position, line) for line in each.lines], each.gap)


def feeds(store: LogStore) -> Fanouts[LogLine]:
    """Those of a process, by instance id."""

    def source(key: Hashable) -> StoredLines:
        return StoredLines(store, str(key))

    return Fanouts(source)
