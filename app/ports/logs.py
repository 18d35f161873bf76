"""Where the lines that apps write are kept: one log an instance, written by one collector, read by anybody.

A line has a position, a number that only grows and that no other line of its instance has: it is the
cursor from which reading goes on. Positions are not dense. Timestamps never decrease from line to line.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from app.errors import ExternalFailure, InvalidInput


class LogStream(enum.StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"
    """The platform's own word: lines were lost, say."""


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogLine(msgspec.Struct, frozen=True):
    position: int
    """Of what comes after it; 0 until it is stored."""
    micros: int
    """When it arrived: microseconds since 1970."""
    stream: LogStream
    level: LogLevel | None
    """None where the line does not say."""
    container_id: str
    deployment_id: str
    """The deployment that brought its container; may be empty."""
    message: str
    cut: int = 0
    """So many bytes of the line were left out at its end."""

    @property
    def timestamp(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.micros)


@dataclass(frozen=True)
class LogFilter:
    """Every condition that is given must hold. ``text`` is looked for in upper or lower case."""

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    text: str = ""
    levels: frozenset[LogLevel] = frozenset()
    streams: frozenset[LogStream] = frozenset()
    container_id: str = ""
    deployment_id: str = ""

    def accepts(self, line: LogLine) -> bool:
        if self.levels and line.level not in self.levels:
            return False
        if self.streams and line.stream not in self.streams:
            return False
        if self.container_id and line.container_id != self.container_id:
            return False
        if self.deployment_id and line.deployment_id != self.deployment_id:
            return False
        if self.since is not None and line.micros < micros_of(self.since):
            return False
        if self.until is not None and line.micros >= micros_of(self.until):
            return False
        return not self.text or folded(self.text) in folded(line.message)


def folded(text: str) -> bytes:
    """As it is compared: ASCII letters in lower case, everything else as it is."""
    return text.encode(errors="replace").lower()


def micros_of(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass(frozen=True)
class LogPage:
    """Lines in the log's order, whichever way they were looked for."""

    lines: Sequence[LogLine]
    more_before: bool = False
    more_after: bool = False
    gap: bool = False
    """Lines after the cursor asked for have been pruned."""


@dataclass(frozen=True)
class LogNews:
    lines: Sequence[LogLine]
    gap: bool = False
    """Lines before these have been pruned unread."""


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one container's output is in the log; stored in one piece with its lines."""

    positions: Mapping[str, str] = {}
    """Of each stream, as the engine gave them (``OutputChunk.position``)."""
    held: Mapping[str, bytes] = {}
    """Of each stream that is inside a line: what was read of it."""
    cut: Mapping[str, int] = {}
    """Of each of those, how many bytes more were read and left out."""
    ended: bool = False
    """All that it ever wrote is in."""


class LogBusy(ExternalFailure):
    """Another collector has the log open; it ends with that process."""


class LogStoreFailure(ExternalFailure):
    """The lines could not be stored: the disk is full, say. Nothing of the batch was."""


class NoSuchCursor(InvalidInput):
    """The position is none of this log's."""


class LogWriter(Protocol):
    """Held by one collector at a time. Blocking and quick: a write of what fits in memory."""

    @property
    def progress(self) -> Mapping[str, Progress]:
        """Of every container that was not forgotten, by its id."""
        ...

    def append(self, container_id: str, lines: Sequence[LogLine], progress: Progress) -> None:
        """Lines and progress, or neither. Raises LogStoreFailure."""
        ...

    def forget(self, container_id: str) -> None:
        """The engine does not know it any more."""
        ...

    def tidy(self) -> None:
        """Let what is old become prunable, also of a log that nobody writes to."""
        ...

    def close(self) -> None: ...


class LogStore(Protocol):
    def open_writer(self, instance_id: str) -> LogWriter:
        """Raises LogBusy."""
        ...

    async def newest(self, instance_id: str) -> int:
        """The position of what comes next; 0 for a log that never was."""
        ...

    async def check(self, instance_id: str, position: int) -> None:
        """Raises NoSuchCursor. A position that was pruned is fine: reading says so."""
        ...

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
        """The first ``limit`` accepted lines between two positions, or the last ones.

        ``before`` is the end of the last line there may be, exclusive. Raises NoSuchCursor.
        """
        ...

    def follow(self, instance_id: str, after: int) -> AsyncGenerator[LogNews, None]:
        """Every line after that position, as it is stored. It never ends by itself."""
        ...

    async def prune(self, instance_id: str, *, max_bytes: int, max_age: timedelta) -> int:
        """Remove the oldest until both hold, in steps of a fraction of each. Returns the bytes freed."""
        ...

    async def delete(self, instance_id: str) -> None:
        """All of it; absent is fine."""
        ...

    async def instances(self) -> Sequence[str]:
        """The ids that there is a log of."""
        ...
