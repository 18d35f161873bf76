"""One ``paas up`` a home: a lock that the kernel drops with its holder, whatever way that one dies."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.up.errors import AlreadyUp


@dataclass(frozen=True)
class Holder:
    pid: int
    create_time: float
    """Seconds since the epoch, as psutil gives it: tells a process from a later one of its number."""

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.create_time)


def is_alive(pid: int, create_time: float) -> bool:
    """Whether that very process runs (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - create_time) < 0.01
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def holder(home: Path) -> Holder | None:
    """Who took the lock last, alive or not; None after a clean end."""
    try:
        written = json.loads((home / "up.lock").read_text())
        return Holder(written["pid"], written["create_time"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def held(home: Path) -> Iterator[Holder | None]:
    """Hold the home's lock. Yields the previous holder when it ended without letting go.

    Raises AlreadyUp when it is held.
    """
    path = home / "up.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _already_up(home) from error
        previous = holder(home)
        _write(descriptor, json.dumps(_ourselves()))
        yield previous
        _write(descriptor, "")
    finally:
        os.close(descriptor)


def _already_up(home: Path) -> AlreadyUp:
    current = holder(home)
    who = f"process {current.pid}" if current else "another process"
    return AlreadyUp(
        f"The platform is already up in {home}: `paas up` runs as {who}.",
        hint="Stop it with `paas down` (or Ctrl-C where it runs), or set PAAS_HOME to another folder.",
    )


def _ourselves() -> dict[str, float]:
    return {"pid": os.getpid(), "create_time": psutil.Process().create_time()}


def _write(descriptor: int, content: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content.encode(), 0)
