"""Hear of committed changes: one LISTEN connection a process, handed out to whoever waits.

A wake is a hint and may be lost (the connection broke); so after each connect everything counts as
woken, and whoever waits reads the rows first, then waits, with a timeout of his own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import asyncpg

from app.db import WAKE_CHANNEL

log = logging.getLogger(__name__)

Heard = Callable[[str | None, str | None], None]
"""Called with kind and key, or with None twice: anything may have changed."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 3.0
_PROBE_EVERY = 10.0
"""A peer that vanished without a word is noticed by asking."""
_PROBE_TIMEOUT = 5.0


class Subscription:
    """Woken since the last ``wait`` returned, or not."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def wait(self, timeout: float | None) -> bool:
        """Until woken, or for ``timeout`` seconds; whether it was woken. Forgets the wake."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.event.wait()
        woken = self.event.is_set()
        self.event.clear()
        return woken


class WakeListener:
    """Start it once a process; ``close`` it at the end."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._callbacks: set[Heard] = set()
        self._subscriptions: defaultdict[tuple[str, str], set[Subscription]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Returns at once; the connection is made, and made again, in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="wake listener")

    async def listening(self) -> None:
        """Wait until the connection stands: for tests, and for whoever wants to start in order."""
        await self._listening.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @contextlib.contextmanager
    def subscribe(self, kind: str, key: str) -> Iterator[Subscription]:
        """Be woken for ``session.wake(kind, key)``. Subscribe, then read the rows, then wait."""
        with self.subscribe_to([(kind, key)]) as subscription:
            yield subscription

    @contextlib.contextmanager
    def subscribe_to(self, topics: Iterable[tuple[str, str]]) -> Iterator[Subscription]:
        """Be woken for any of these pairs of kind and key. However many wait, a wake finds its own at once."""
        subscription, wanted = Subscription(), tuple(topics)
        for topic in wanted:
            self._subscriptions[topic].add(subscription)
        try:
            yield subscription
        finally:
            for topic in wanted:
                self._subscriptions[topic].discard(subscription)
                if not self._subscriptions[topic]:
                    del self._subscriptions[topic]

    @contextlib.contextmanager
    def hearing(self, callback: Heard) -> Iterator[None]:
        """Call back for every wake. The callback must neither block nor raise."""
        self._callbacks.add(callback)
        try:
            yield
        finally:
            self._callbacks.discard(callback)

    @property
    def subscriptions(self) -> int:
        """How many wait for a topic."""
        return len({each for some in self._subscriptions.values() for each in some})

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=_PROBE_TIMEOUT)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning(
                    "wake-ups: the database does not answer (%s); again in %.1f s", error, pause
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            try:
                await self._listen(connection)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("wake-ups: the connection broke (%s); connecting again", error)
            finally:
                self._listening.clear()
                connection.terminate()

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """Returns when the connection is gone."""
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _: gone.set())
        await connection.add_listener(WAKE_CHANNEL, self._notified)
        self._tell(None, None)
        self._listening.set()
        while not gone.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_EVERY):
                    await gone.wait()
            if not gone.is_set():
                await connection.execute("SELECT 1", timeout=_PROBE_TIMEOUT)

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        kind, _, key = str(payload).partition(":")
        self._tell(kind, key)

    def _tell(self, kind: str | None, key: str | None) -> None:
        for callback in list(self._callbacks):
            callback(kind, key)
        if kind is None or key is None:
            woken = {each for some in self._subscriptions.values() for each in some}
        else:
            woken = self._subscriptions.get((kind, key), set())
        for subscription in woken:
            subscription.event.set()
