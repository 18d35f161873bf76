"""Slugs as files named by their SHA-256, in one folder."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from app.crypto import SecretBox
from app.errors import NotFound

_CHUNK = 256 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LocalSlugStore:
    """``{folder}/{first two digits}/{sha256}.tar.gz``. A file appears whole, by renaming, or not at all."""

    def __init__(self, folder: Path, box: SecretBox, base_url: str) -> None:
        self._folder = folder
        self._box = box
        self._base_url = base_url.rstrip("/")

    async def put(self, archive: Path) -> str:
        return await asyncio.to_thread(self._put, archive)

    async def has(self, sha256: str) -> bool:
        return await asyncio.to_thread(self._path(sha256).exists)

    async def open(self, sha256: str) -> AsyncIterator[bytes]:
        path = self._path(sha256)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as error:
            raise _absent(sha256) from error
        with file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk

    async def size(self, sha256: str) -> int:
        try:
            return (await asyncio.to_thread(self._path(sha256).stat)).st_size
        except FileNotFoundError as error:
            raise _absent(sha256) from error

    async def delete(self, sha256: str) -> None:
        await asyncio.to_thread(self._path(sha256).unlink, True)

    async def list(self) -> list[str]:
        return await asyncio.to_thread(_stored, self._folder)

    def url(self, sha256: str) -> str:
        signature = self._box.signature(_signed(sha256))
        return f"{self._base_url}/artifacts/slugs/{sha256}.tar.gz?sig={signature}"

    def verify(self, sha256: str, signature: str) -> bool:
        return signature.isascii() and self._box.verify_signature(_signed(sha256), signature)

    def _put(self, archive: Path) -> str:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self._folder / f"{secrets.token_hex(8)}.partial"
        digest = hashlib.sha256()
        try:
            with archive.open("rb") as source, partial.open("xb") as target:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            path = self._path(digest.hexdigest())
            path.parent.mkdir(exist_ok=True)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return digest.hexdigest()

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise _absent(sha256)
        return self._folder / sha256[:2] / f"{sha256}.tar.gz"


def _stored(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".tar.gz") for path in folder.glob("??/*.tar.gz"))


def _signed(sha256: str) -> str:
    return f"slug {sha256}"


def _absent(sha256: str) -> NotFound:
    return NotFound(
        f"There is no slug {sha256[:64]!r} in the store.",
        hint="It was pruned, or never built here: deploy the commit again to build it anew.",
    )
