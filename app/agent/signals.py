"""A counter that can be waited on, which is what "something changed" means here; and background tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Changes:
    def __init__(self, number: int = 0) -> None:
        self.number = number
        self._next = asyncio.Event()

    def bump(self) -> None:
        self.number += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, seen: int, timeout: float | None = None) -> None:
        """Return when ``number`` is no longer ``seen``, or after ``timeout`` seconds."""
        if self.number == seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._next.wait()


def background(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run it as a task; a failure nobody waits for is logged instead of lost."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s failed", task.get_name(), exc_info=error)
