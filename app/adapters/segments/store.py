"""The LogStore port over a folder of segments.

API and worker may be on different machines as long as they share the platform's folder, as for slugs and
repositories.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

from app.adapters.segments import reader
from app.adapters.segments.codec import decode_line
from app.adapters.segments.files import Segment, holding, segments
from app.adapters.segments.writer import SegmentWriter
from app.errors import ExternalFailure
from app.growth import Growth
from app.ports.logs import (
    LogBusy,
    LogFilter,
    LogLine,
    LogNews,
    LogPage,
    LogWriter,
    NoSuchCursor,
)

_SEGMENT_PART = 16
"""A segment is that part of what is kept, in size and in time: what is pruned goes in such steps."""
_SMALLEST_SEGMENT = 64 * 1024
_LARGEST_SEGMENT = 4 * 1024 * 1024
_READ_BYTES = 256 * 1024
_SCANS_AT_ONCE = 2
P = ParamSpec("P")
T = TypeVar("T")

_LARGEST_BATCH = 16 * 1024 * 1024
_NAME = re.compile(r"[a-z]+_[A-Za-z0-9]+", re.ASCII)


class SegmentStore:
    def __init__(
        self, folder: Path, *, keep_bytes: int, keep: timedelta, poll_seconds: float = 0.01
    ) -> None:
        self._folder = folder
        self._keep = keep
        self._segment_bytes = min(
            _LARGEST_SEGMENT, max(_SMALLEST_SEGMENT, keep_bytes // _SEGMENT_PART)
        )
        self._growth = Growth(poll_seconds)
        self._scans = asyncio.Semaphore(_SCANS_AT_ONCE)

    def open_writer(self, instance_id: str) -> LogWriter:
        return SegmentWriter(
            self._of(instance_id),
            segment_bytes=self._segment_bytes,
            segment_seconds=self._keep.total_seconds() / _SEGMENT_PART,
        )

    async def newest(self, instance_id: str) -> int:
        return await self._read(reader.newest, self._of(instance_id))

    async def check(self, instance_id: str, position: int) -> None:
        await self._read(reader.check, self._of(instance_id), position)

    async def page(
        self,
        instance_id: str,
        filter: LogFilter,
        *,
        limit: int,
        after: int | None = None,
        before: int | None = None,
        backward: bool = False,
    ) -> LogPage:
        async with self._scans:
            return await self._read(
                reader.page, self._of(instance_id), filter, limit, after, before, backward
            )

    async def follow(self, instance_id: str, after: int) -> AsyncGenerator[LogNews, None]:
        tail = _Tail(self._of(instance_id), after)
        try:
            with self._growth.watching(tail.look) as grown:
                while True:
                    grown.clear()
                    while (news := tail.read()) is not None:
                        if news.lines or news.gap:
                            yield news
                    await grown.wait()
        finally:
            tail.close()

    async def prune(self, instance_id: str, *, max_bytes: int, max_age: timedelta) -> int:
        return await asyncio.to_thread(self._prune, instance_id, max_bytes, max_age)

    async def delete(self, instance_id: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._of(instance_id), ignore_errors=True)

    async def instances(self) -> Sequence[str]:
        return await asyncio.to_thread(self._instances)

    def _instances(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(self._folder) if _NAME.fullmatch(name))
        return []

    def _prune(self, instance_id: str, max_bytes: int, max_age: timedelta) -> int:
        folder = self._of(instance_id)
        oldest = time.time() - max_age.total_seconds()
        freed = self._remove_old(folder, max_bytes, oldest)
        last = segments(folder)[-1:]
        if last and last[0].path.stat().st_mtime < oldest:
            with contextlib.suppress(LogBusy):
                writer = self.open_writer(instance_id)
                writer.tidy()
                writer.close()
                freed += self._remove_old(folder, max_bytes, oldest)
        return freed

    @staticmethod
    def _remove_old(folder: Path, max_bytes: int, oldest: float) -> int:
        """Never the last: it says how far everything was read."""
        found = segments(folder)
        statuses = [segment.path.stat() for segment in found]
        held, freed = sum(status.st_size for status in statuses), 0
        for segment, status in list(zip(found, statuses, strict=True))[:-1]:
            if held - freed <= max_bytes and status.st_mtime >= oldest:
                break
            segment.path.unlink()
            freed += status.st_size
        return freed

    def _of(self, instance_id: str) -> Path:
        if not _NAME.fullmatch(instance_id):
            raise NoSuchCursor(f"{instance_id[:80]!r} is no instance's id.")
        return self._folder / instance_id

    @staticmethod
    async def _read(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """In a thread; again when a segment was pruned while it was being opened."""
        tries = 3
        while True:
            tries -= 1
            try:
                return await asyncio.to_thread(work, *arguments, **named)
            except OSError as error:
                if not (tries and isinstance(error, FileNotFoundError)):
                    raise ExternalFailure(f"The logs cannot be read: {error.strerror}") from error


class _Tail:
    """Reads on from a position as the files grow. Its reads are of what was just written."""

    def __init__(self, folder: Path, after: int) -> None:
        self._folder = folder
        self._position = after
        self._segment: Segment | None = None
        self._descriptor = -1

    def look(self) -> object:
        """The size of the segment that is read, and when segments came or went."""
        size = os.fstat(self._descriptor).st_size if self._segment is not None else -1
        with contextlib.suppress(OSError):
            return size, self._folder.stat().st_mtime_ns
        return size

    def read(self) -> LogNews | None:
        """What came after the last; None when there is nothing new."""
        if self._segment is None and not self._enter():
            return None
        assert self._segment is not None
        if self._position < self._segment.base:
            self._position = self._segment.base
            return LogNews((), gap=True)
        size = _READ_BYTES
        while True:
            content = os.pread(self._descriptor, size, self._position - self._segment.base)
            whole = _last_batch_end(content)
            if whole or len(content) < size or size >= _LARGEST_BATCH:
                break
            size *= 4
        if whole:
            lines = _lines(content[:whole], self._position)
            self._position += whole
            return LogNews(lines)
        return self._next()

    def close(self) -> None:
        if self._segment is not None:
            os.close(self._descriptor)
            self._segment = None

    def _enter(self) -> bool:
        found = segments(self._folder)
        if not found:
            return False
        segment = found[holding(found, self._position)]
        try:
            self._descriptor = os.open(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        self._segment = segment
        return True

    def _next(self) -> LogNews | None:
        """To the next segment, once there is one: it begins where this one will never grow beyond."""
        assert self._segment is not None
        later = [each for each in segments(self._folder) if each.base > self._segment.base]
        if not later or os.fstat(self._descriptor).st_size > self._position - self._segment.base:
            return None
        gap = later[0].base > self._position
        self.close()
        self._position = max(self._position, later[0].base)
        return LogNews((), gap)


def _last_batch_end(content: bytes) -> int:
    """How much of it is whole batches."""
    limit = content.rfind(b"\n") + 1
    while limit > 0:
        at = content.rfind(b"\n", 0, limit - 1) + 1
        if content[at : at + 1] == b"{":
            return limit
        limit = at
    return 0


def _lines(content: bytes, position: int) -> list[LogLine]:
    lines = []
    for record in content.split(b"\n")[:-1]:
        position += len(record) + 1
        line = decode_line(record, position)
        if line is not None:
            lines.append(line)
    return lines
