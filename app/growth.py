"""Says when something on disk moved: one timer for everything that is watched, however much that is.

A look is a ``stat`` or two. Inotify would spare them, but not every file system that the platform's folder
may be on (a network's) tells of what another machine writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

Look = Callable[[], object]
"""Cheap, does not raise, and answers with something that differs when there is news."""


_EACH = 0.0002
"""Seconds more between two looks for each thing watched: looking never costs more than a few percent."""


class Growth:
    """``seconds`` between two looks, and a little more the more there is to look at."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watched: dict[asyncio.Event, tuple[Look, object]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def watching(self, look: Look) -> Iterator[asyncio.Event]:
        """The event is set whenever ``look`` answers differently; whoever waits for it clears it, reads,
        and waits again."""
        event = asyncio.Event()
        self._watched[event] = (look, look())
        if self._timer is None:
            self._look_later()
        try:
            yield event
        finally:
            del self._watched[event]

    def _tick(self) -> None:
        if not self._watched:
            self._timer = None
            return
        for event, (look, before) in self._watched.items():
            now = look()
            if now != before:
                self._watched[event] = (look, now)
                event.set()
        self._look_later()

    def _look_later(self) -> None:
        seconds = self._seconds + _EACH * len(self._watched)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)
