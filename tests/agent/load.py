"""Requests through the real router, as fast as they are answered, while something else happens."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

_WORKERS = 4


@dataclass
class Load:
    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    """By body: which release answered."""
    failures: list[str] = field(default_factory=list)
    latest: str = ""


@asynccontextmanager
async def load(url: str, hostname: str) -> AsyncIterator[Load]:
    """Every answer but a 200 is a failure, and so is every connection that breaks."""
    result = Load()
    ended = asyncio.Event()

    async def worker(session: aiohttp.ClientSession) -> None:
        while not ended.is_set():
            try:
                async with session.get(url, headers={"Host": hostname}) as response:
                    body = await response.text()
                    if response.status == 200:
                        result.answers[body] += 1
                        result.latest = body
                    else:
                        result.failures.append(f"{response.status} {body[:80]}")
            except (aiohttp.ClientError, TimeoutError) as error:
                result.failures.append(repr(error))
            await asyncio.sleep(0.002)

    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        workers = [asyncio.create_task(worker(session)) for _ in range(_WORKERS)]
        try:
            yield result
        finally:
            ended.set()
            await asyncio.gather(*workers)
