"""Slug archives on this machine: fetched once a digest, verified, and shared between copies by link."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from app.agent.http import HTTPFailure, locate, request
from app.agent.spec import Fetch

_CHUNK = 1024 * 1024


class SlugUnavailable(Exception):
    """The archive cannot be had, or is not what its digest says."""


class SlugCache:
    """``folder`` holds one read-only file per SHA-256. ``store`` is the platform's own folder of slugs,
    (``LocalSlugStore``), read directly when it is on this machine: an app restarts while the API is down."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder = folder
        self._store = store
        self._fetching: dict[str, asyncio.Task[Path]] = {}

    async def get(self, fetch: Fetch) -> Path:
        """The verified archive. Several who ask at once share one download. Raises SlugUnavailable."""
        path = self._folder / fetch.sha256
        if path.exists():
            return path
        task = self._fetching.get(fetch.sha256)
        if task is None:
            task = asyncio.create_task(self._fetch(fetch, path))
            self._fetching[fetch.sha256] = task
            task.add_done_callback(lambda _: self._fetching.pop(fetch.sha256, None))
        return await asyncio.shield(task)

    async def place(self, fetch: Fetch, at: Path) -> None:
        """Put the archive at ``at``: a link where the file system has them, else a copy."""
        archive = await self.get(fetch)
        at.parent.mkdir(parents=True, exist_ok=True)
        at.unlink(missing_ok=True)
        try:
            os.link(archive, at)
        except OSError:
            await asyncio.to_thread(shutil.copyfile, archive, at)

    def keep_only(self, digests: set[str]) -> None:
        """Forget what no job names any more, and scraps of downloads that were cut off."""
        for path in self._folder.iterdir():
            digest = path.name.removesuffix(".part").partition(".")[0]
            if digest not in digests and digest not in self._fetching:
                path.unlink(missing_ok=True)

    async def _fetch(self, fetch: Fetch, path: Path) -> Path:
        descriptor, name = tempfile.mkstemp(
            prefix=f"{fetch.sha256}.", suffix=".part", dir=self._folder
        )
        os.close(descriptor)
        scratch = Path(name)
        try:
            local = self._store / fetch.sha256[:2] / f"{fetch.sha256}.tar.gz"
            if local.exists():
                digest = await asyncio.to_thread(_copy, local, scratch)
            else:
                digest = await _download(fetch.url, scratch)
            if digest != fetch.sha256:
                raise SlugUnavailable(f"the slug's SHA-256 is {digest}, not {fetch.sha256}")
            scratch.chmod(0o444)
            scratch.rename(path)
            return path
        finally:
            scratch.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


async def _download(url: str, target: Path) -> str:
    digest = hashlib.sha256()
    try:
        endpoint, path = locate(url)
        async with request(endpoint, "GET", path, timeout=300) as response:
            if response.status != 200:
                raise SlugUnavailable(f"fetching the slug answers {response.status}")
            with target.open("wb") as writer:
                async for chunk in response.chunks:
                    digest.update(chunk)
                    writer.write(chunk)
    except HTTPFailure as failure:
        raise SlugUnavailable(f"the slug cannot be fetched: {failure}") from failure
    return digest.hexdigest()
