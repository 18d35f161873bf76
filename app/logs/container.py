"""One container's output, from the engine into its instance's log: once, in order, and never twice.

What was read and how far are stored in one piece (``LogWriter.append``), so it does not matter when this
ends: whoever goes on begins where the log does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from app import faults
from app.errors import ExternalFailure
from app.logs.levels import level_of
from app.logs.lines import Joiner, RawLine, text_of
from app.ports.logs import LogLevel, LogLine, LogStream, LogWriter, Progress
from app.ports.scheduler import JobRef, Output, OutputChunk, OutputGone, Scheduler

log = logging.getLogger(__name__)

STEPS = ("logs.read", "logs.stored", "logs.ended")
"""Where a worker may die."""

_AFTER_THE_END = 1.0
"""Seconds in which an ended container's last lines come by themselves; then they are asked for."""
_IDLE_SECONDS = 5.0
"""A beginning of a line that waited so long for its end is shown without."""
_BYTES_A_SECOND = 2 * 1024 * 1024
"""Of one container, so that a flood of lines leaves room for all else that a worker does. The engine keeps
what is not read yet, as much as it keeps, and says what it dropped."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_STREAMS = {Output.STDOUT: LogStream.STDOUT, Output.STDERR: LogStream.STDERR}


class Container:
    """``check`` raises when this worker may not write any more."""

    def __init__(
        self,
        scheduler: Scheduler,
        writer: LogWriter,
        ref: JobRef,
        container_id: str,
        deployment_id: str,
        check: Callable[[], None],
    ) -> None:
        self.ended = asyncio.Event()
        """To be set when the container will not write any more, or the engine does not list it."""
        self._scheduler = scheduler
        self._writer = writer
        self._ref = ref
        self._id = container_id
        self._deployment_id = deployment_id
        self._check = check
        self._chunks = 0
        self._progress = writer.progress.get(container_id, Progress())
        self._joiners = {
            stream: Joiner(self._progress.held.get(stream, b""), self._progress.cut.get(stream, 0))
            for stream in Output
        }

    async def collect(self) -> None:
        """Until all that the container ever wrote is stored. Raises LogStoreFailure, LeaseLost."""
        pause = _FIRST_PAUSE
        while True:
            follow = not self.ended.is_set()
            before = self._progress
            try:
                if await self._read(follow=follow):
                    return self._end([])
            except OutputGone:
                return self._end([self._gone()])
            except ExternalFailure as error:
                if self._progress != before:
                    pause = _FIRST_PAUSE
                log.info(
                    "output of %s in %s: %s; again in %.1f s", self._id, self._ref, error, pause
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _read(self, *, follow: bool) -> bool:
        """Whether that was all of it. One that is followed may fall silent at its end instead of ending:
        then what is left is read once more without following."""
        reading = asyncio.create_task(self._take_all(follow=follow), name=f"output {self._id}")
        ending = asyncio.create_task(self.ended.wait())
        try:
            if follow:
                await self._until_either(reading, ending)
                if not reading.done():
                    await asyncio.wait({reading}, timeout=_AFTER_THE_END)
                if not reading.done():
                    return False
            await reading
            return True
        finally:
            for task in (reading, ending):
                task.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)

    async def _until_either(self, *tasks: asyncio.Task[Any]) -> None:
        """A line that was begun and not gone on with meanwhile is shown as it is."""
        while True:
            before = self._chunks
            done, _ = await asyncio.wait(
                tasks, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            if self._chunks == before and any(joiner.held for joiner in self._joiners.values()):
                self._store(self._flushed())

    async def _take_all(self, *, follow: bool) -> None:
        positions = {stream: self._progress.positions.get(stream, "") for stream in Output}
        chunks = self._scheduler.follow_output(self._ref, self._id, positions, follow=follow)
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                faults.checkpoint("logs.read")
                self._chunks += 1
                self._take(chunk)
                await asyncio.sleep(len(chunk.data) / _BYTES_A_SECOND)

    def _take(self, chunk: OutputChunk) -> None:
        joiner = self._joiners[chunk.stream]
        lines: list[LogLine] = []
        if chunk.lost:
            lines += self._lines(chunk.stream, joiner.flush())
            lines.append(self._said(_loss(chunk)))
        lines += self._lines(chunk.stream, joiner.feed(chunk.data))
        positions = {**self._progress.positions, str(chunk.stream): chunk.position}
        self._progress = Progress(positions=positions)
        self._store(lines)

    def _store(self, lines: list[LogLine]) -> None:
        self._check()
        self._progress = Progress(
            positions=self._progress.positions,
            held={str(s): joiner.held for s, joiner in self._joiners.items() if joiner.held},
            cut={str(s): joiner.cut for s, joiner in self._joiners.items() if joiner.cut},
            ended=self._progress.ended,
        )
        self._writer.append(self._id, lines, self._progress)
        faults.checkpoint("logs.stored")

    def _end(self, said: list[LogLine]) -> None:
        lines = self._flushed() + said
        self._progress = Progress(positions=self._progress.positions, ended=True)
        self._store(lines)
        faults.checkpoint("logs.ended")

    def _flushed(self) -> list[LogLine]:
        return [
            line
            for stream, joiner in self._joiners.items()
            for line in self._lines(stream, joiner.flush())
        ]

    def _lines(self, stream: Output, raw: list[RawLine]) -> list[LogLine]:
        micros = time.time_ns() // 1000
        lines = []
        for each in raw:
            message = text_of(each.content)
            lines.append(
                LogLine(
                    0,
                    micros,
                    _STREAMS[stream],
                    level_of(message),
                    self._id,
                    self._deployment_id,
                    message,
                    each.cut,
                )
            )
        return lines

    def _gone(self) -> LogLine:
        return self._said(
            "This container was removed before all that it wrote had been read: its last lines are lost."
        )

    def _said(self, message: str) -> LogLine:
        return LogLine(
            0,
            time.time_ns() // 1000,
            LogStream.SYSTEM,
            LogLevel.WARN,
            self._id,
            self._deployment_id,
            message,
        )


def _loss(chunk: OutputChunk) -> str:
    size = "some" if chunk.lost_bytes is None else f"{chunk.lost_bytes:,} bytes"
    return (
        f"Lost here: {size} of this container's {chunk.stream}, dropped before they could be read."
    )
