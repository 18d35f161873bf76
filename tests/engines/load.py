"""Requests without pause through the router, each outcome counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Load:
    answers: Counter[str] = field(default_factory=Counter)
    """Bodies of the answered requests."""
    failures: list[str] = field(default_factory=list)
    _answered: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answered(self, total: int) -> None:
        """Wait until so many requests were answered."""
        async with self._answered, asyncio.timeout(30):
            await self._answered.wait_for(lambda: self.answers.total() >= total)

    async def count(self, body: str) -> None:
        async with self._answered:
            self.answers[body] += 1
            self._answered.notify_all()


@asynccontextmanager
async def load_on(ingress: str, hostname: str, *, clients: int = 8) -> AsyncIterator[Load]:
    """Runs inside the ``with``; it must have been answered once before it begins."""
    load = Load()
    await _first_answer(ingress, hostname)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_ask_on(session, ingress, hostname, load)) for _ in range(clients)
        ]
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


async def _ask_on(session: aiohttp.ClientSession, ingress: str, hostname: str, load: Load) -> None:
    while True:
        try:
            async with session.get(f"http://{ingress}/", headers={"Host": hostname}) as response:
                body = await response.text()
                if response.status == 200:
                    await load.count(body)
                else:
                    load.failures.append(f"{response.status}: {body[:100]}")
        except aiohttp.ClientError as error:
            load.failures.append(repr(error))
        await asyncio.sleep(0.004)


async def _first_answer(ingress: str, hostname: str, *, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(
                    f"http://{ingress}/", headers={"Host": hostname}
                ) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
