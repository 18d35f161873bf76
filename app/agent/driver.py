"""How a copy runs: what ``process`` and ``docker`` have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.agent.records import CopyRecord
from app.agent.spec import JobSpec


class StartFailed(Exception):
    """The copy could not be started; the message says why, for people.

    ``permanent``: trying again can only fail the same way.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True)
class Exit:
    code: int | None
    """None when nobody can know: another process was its parent. 128 + n for signal n."""
    oom_killed: bool = False


@dataclass(frozen=True)
class Consumption:
    """``cpu_seconds`` counts up from the copy's start."""

    cpu_seconds: float
    memory_bytes: int


class Handle(Protocol):
    """A running copy."""

    @property
    def exited(self) -> asyncio.Future[Exit]: ...

    async def consumption(self) -> Consumption | None:
        """None when it cannot be told, such as of a copy that has just ended."""
        ...

    async def stop(self, signal_name: str, timeout: float) -> None:
        """Signal it, wait up to ``timeout`` seconds, kill what is left. Returns when nothing is."""
        ...


class Driver(Protocol):
    async def start(self, copy: CopyRecord, spec: JobSpec, secrets: Mapping[str, str]) -> Handle:
        """Raises StartFailed. Sets on ``copy`` what ``adopt`` needs to find it again."""
        ...

    async def adopt(self, copy: CopyRecord, spec: JobSpec) -> Handle | None:
        """Take over a copy that an earlier agent started; None when it does not run any more."""
        ...

    async def log_tail(self, copy: CopyRecord, lines: int) -> Sequence[str]: ...

    async def remove(self, copy: CopyRecord) -> None:
        """Leave nothing behind of an ended copy but its record and log."""
        ...
