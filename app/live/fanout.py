"""One upstream of lines, any number of viewers, and memory that depends on neither's speed.

The newest lines are kept once, in a ring; a viewer is only a place in it. One that is so slow that the
ring has moved on is told how many lines it missed (``Batch.dropped``) and goes on from the oldest there
is. The upstream is followed while anybody watches. A viewer that resumes from a cursor which the ring no
longer covers is given the stored lines first, so that a reconnect neither misses nor repeats one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from app.errors import ExternalFailure

log = logging.getLogger(__name__)

L = TypeVar("L")
L_co = TypeVar("L_co", covariant=True)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Chunk(Generic[L_co]):
    """Lines with their positions, in ascending order. ``gap``: some that came before them are lost."""

    lines: Sequence[tuple[int, L_co]]
    gap: bool = False


@dataclass(frozen=True)
class Batch(Generic[L_co]):
    """What a viewer gets. ``cursor`` goes on after its last line."""

    lines: Sequence[L_co]
    cursor: int
    dropped: int = 0
    """So many lines before these were not shown, because the viewer was too slow."""
    gap: bool = False
    """Lines before these are lost for everybody, and nobody knows how many."""


class Source(Protocol[L_co]):
    """Where lines come from. A position is a number that only grows; two lines never share one.

    Any method may raise ExternalFailure: it is tried again.
    """

    async def newest(self) -> int:
        """The position of the last line there is; 0 before the first."""
        ...

    async def read(self, after: int, until: int, limit: int) -> Chunk[L_co]:
        """The first ``limit`` stored lines with ``after < position <= until``; fewer: there are no more.

        ``gap``: lines after ``after`` have been pruned.
        """
        ...

    def follow(self, after: int) -> AsyncGenerator[Chunk[L_co], None]:
        """Every line after that position, as it comes; ends when there will be no more.

        What it yields can be ``read`` already. It is closed when nobody watches any more.
        """
        ...


@dataclass(frozen=True)
class _Entry(Generic[L]):
    position: int
    line: L | None
    """None marks a gap."""


class Fanout(Generic[L]):
    """Of one source. ``keep`` is how many lines a viewer may be behind."""

    def __init__(self, source: Source[L], *, keep: int = 2000, batch: int = 200) -> None:
        self._source = source
        self._batch = batch
        self._ring: deque[_Entry[L]] = deque(maxlen=keep)
        self._count = 0
        """Entries that ever were in the ring: the last one's number."""
        self._since = 0
        """Every line after this position is in the ring, or was when it came."""
        self._changed = asyncio.Event()
        self._ended = False
        self._viewers = 0
        self._upstream: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @property
    def viewers(self) -> int:
        return self._viewers

    @property
    def following(self) -> bool:
        """Whether the upstream is open."""
        return self._upstream is not None

    async def subscribe(self, after: int | None = None) -> AsyncGenerator[Batch[L], None]:
        """From that cursor on; None: what comes from now on. Ends when the source does.

        The first batch comes at once when ``after`` is None, empty, so that there is a cursor to resume
        from. Close the generator to leave (``contextlib.aclosing``).
        """
        self._viewers += 1
        try:
            await self._follow()
            if after is None:
                number, position = self._count, self._newest_position()
                yield Batch((), position)
            else:
                position = min(after, self._newest_position())
                while position < (until := self._since):
                    stored = await self._source.read(position, until, self._batch)
                    all_read = len(stored.lines) < self._batch
                    position = until if all_read else stored.lines[-1][0]
                    if stored.lines or stored.gap:
                        yield Batch([line for _, line in stored.lines], position, gap=stored.gap)
                number = self._number_after(position)
            async for batch in self._live(number):
                yield batch
        finally:
            self._viewers -= 1
            if not self._viewers:
                await self._leave()

    async def _live(self, number: int) -> AsyncGenerator[Batch[L], None]:
        """``number``: how many entries are behind the viewer."""
        while True:
            if number == self._count:
                if self._ended:
                    if self._upstream is not None:
                        await self._upstream
                    return
                await self._changed.wait()
                continue
            dropped = max(0, self._count - len(self._ring) - number)
            number += dropped
            entries = self._entries(number)
            number += len(entries)
            gap = entries[0].line is None
            yield Batch(
                [entry.line for entry in entries if entry.line is not None],
                entries[-1].position,
                dropped=dropped,
                gap=gap,
            )

    def _entries(self, number: int) -> list[_Entry[L]]:
        """The next ones after ``number``, up to a batch, and up to a gap unless that is the first."""
        start = len(self._ring) - (self._count - number)
        entries: list[_Entry[L]] = []
        for entry in islice(self._ring, start, start + self._batch):
            if entry.line is None and entries:
                break
            entries.append(entry)
        return entries

    def _newest_position(self) -> int:
        return self._ring[-1].position if self._ring else self._since

    def _number_after(self, position: int) -> int:
        """A gap right after the position is told, perhaps again: it may not have arrived."""
        later = (
            e.position > position or (e.line is None and e.position == position) for e in self._ring
        )
        return self._count - sum(later)

    def _publish(self, chunk: Chunk[L]) -> None:
        if chunk.gap:
            self._append(_Entry(self._newest_position(), None))
        for position, line in chunk.lines:
            self._append(_Entry(position, line))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _append(self, entry: _Entry[L]) -> None:
        if len(self._ring) == self._ring.maxlen:
            self._since = self._ring[0].position
        self._ring.append(entry)
        self._count += 1

    async def _follow(self) -> None:
        """Open the upstream, if nobody has. What comes from here on is in the ring."""
        async with self._starting:
            if self._upstream is None:
                self._ring.clear()
                self._since = await self._source.newest()
                self._ended = False
                self._upstream = asyncio.create_task(self._run(), name="fan-out")

    async def _leave(self) -> None:
        async with self._starting:
            if self._viewers or self._upstream is None:
                return
            upstream, self._upstream = self._upstream, None
            upstream.cancel()
            await asyncio.wait([upstream])

    async def _run(self) -> None:
        """What it raises, it raises in every viewer."""
        try:
            await self._follow_until_it_ends()
        finally:
            self._ended = True
            self._publish(Chunk(()))

    async def _follow_until_it_ends(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with contextlib.aclosing(
                    self._source.follow(self._newest_position())
                ) as news:
                    async for chunk in news:
                        pause = _FIRST_PAUSE
                        self._publish(chunk)
                return
            except ExternalFailure as error:
                log.info("an upstream broke (%s); following it again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)


class Fanouts(Generic[L]):
    """The fan-outs of a process by their keys; each is there while it has viewers."""

    def __init__(self, open_source: Callable[[Hashable], Source[L]]) -> None:
        self._open_source = open_source
        self._fanouts: dict[Hashable, Fanout[L]] = {}

    @property
    def upstreams(self) -> int:
        return sum(fanout.following for fanout in self._fanouts.values())

    async def subscribe(
        self, key: Hashable, after: int | None = None
    ) -> AsyncGenerator[Batch[L], None]:
        """``Fanout.subscribe`` of the key's."""
        fanout = self._fanouts.get(key)
        if fanout is None:
            fanout = self._fanouts[key] = Fanout(self._open_source(key))
        try:
            async with contextlib.aclosing(fanout.subscribe(after)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            if not fanout.viewers and self._fanouts.get(key) is fanout:
                del self._fanouts[key]
