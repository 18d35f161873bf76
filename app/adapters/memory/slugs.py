"""The SlugStore port over a dictionary."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from app.errors import NotFound


class MemorySlugStore:
    def __init__(self) -> None:
        self._slugs: dict[str, bytes] = {}

    async def put(self, archive: Path) -> str:
        content = await asyncio.to_thread(archive.read_bytes)
        sha256 = hashlib.sha256(content).hexdigest()
        self._slugs[sha256] = content
        return sha256

    async def has(self, sha256: str) -> bool:
        return sha256 in self._slugs

    async def open(self, sha256: str) -> AsyncIterator[bytes]:
        yield self._held(sha256)

    async def size(self, sha256: str) -> int:
        return len(self._held(sha256))

    async def delete(self, sha256: str) -> None:
        self._slugs.pop(sha256, None)

    async def list(self) -> list[str]:
        return sorted(self._slugs)

    def url(self, sha256: str) -> str:
        return f"memory://slugs/{sha256}?sig={_signature(sha256)}"

    def verify(self, sha256: str, signature: str) -> bool:
        return signature == _signature(sha256)

    def _held(self, sha256: str) -> bytes:
        if sha256 not in self._slugs:
            raise NotFound(f"There is no slug {sha256}.")
        return self._slugs[sha256]


def _signature(sha256: str) -> str:
    return hashlib.sha256(b"memory" + sha256.encode()).hexdigest()[:16]
