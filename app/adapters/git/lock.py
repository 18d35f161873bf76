"""Who is receiving into a repository: a shared file lock, held by this process and by git itself.

git inherits the descriptor, so that the lock outlives a killed server for as long as its receive-pack
does. Whoever gets the lock alone knows that every half-received pack in there is abandoned.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

_INCOMING = ("tmp_objdir-incoming-*", "incoming-*")
"""What receive-pack unpacks into; the second is the name before git 2.36."""


@contextlib.asynccontextmanager
async def receiving(path: Path) -> AsyncIterator[int]:
    """The locked descriptor, for git to inherit. What a killed push left is swept at the end."""
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)
        if incoming(path):
            await asyncio.to_thread(sweep, path)


def sweep(path: Path) -> int:
    """Remove what killed pushes left, unless one is under way. Returns how many were removed."""
    with _alone(path) as alone:
        if not alone:
            return 0
        abandoned = incoming(path)
        for folder in abandoned:
            shutil.rmtree(folder)
        return len(abandoned)


def incoming(path: Path) -> list[Path]:
    """Folders of half-received packs, live or abandoned."""
    return [found for glob in _INCOMING for found in (path / "objects").glob(glob)]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path / "paas.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
