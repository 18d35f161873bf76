"""Moving refs with ``git update-ref``; for a push, one that was started while git still checked the objects.

Most of a move's time is the start of its process. Started ahead, it waits at its input, holds no lock and
has looked at no ref; with its input closed it ends and has done nothing.
"""

from __future__ import annotations

import contextlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from app.adapters.git.home import GitHome
from app.adapters.git.process import communicate, end, spawn
from app.ports.repositories import RefUpdate


class RefMover:
    def __init__(self, home: GitHome) -> None:
        self._home = home
        self._started: dict[Path, list[Process]] = {}

    @contextlib.asynccontextmanager
    async def started_ahead(self, path: Path) -> AsyncIterator[None]:
        """Inside, the next move in the repository finds its process started."""
        process = await self._start(path)
        self._started.setdefault(path, []).append(process)
        try:
            yield
        finally:
            if self._take(path, process) is not None:
                await end(process)

    async def move(self, path: Path, updates: Sequence[RefUpdate]) -> None:
        """All of them or none. Raises GitFailed."""
        request = b"".join(
            f"update {update.ref}\0{update.new}\0{update.old}\0".encode() for update in updates
        )
        process = self._take(path) or await self._start(path)
        await communicate(process, "update-ref", request)

    async def _start(self, path: Path) -> Process:
        command = ("-C", str(path), "update-ref", "--create-reflog", "-m", "push", "--stdin", "-z")
        return await spawn(*command, env=self._home.environment())

    def _take(self, path: Path, wanted: Process | None = None) -> Process | None:
        """The wanted process, or any; None when it was taken by another."""
        waiting = self._started.get(path, [])
        found = next((each for each in waiting if wanted in (None, each)), None)
        if found is not None:
            waiting.remove(found)
            if not waiting:
                del self._started[path]
        return found
