"""One component as a child process: how it is started, known again, and stopped.

Each child leads a session of its own, so that Ctrl-C reaches only ``paas up``, which then stops them in
order. Its pid and creation time are on disk while it runs: a ``paas up`` that was killed leaves children
behind, and the next one finds them by that record, never by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.up.lock import is_alive

_KEPT_LOGS = 3


async def _nothing() -> None:
    return None


@dataclass(frozen=True)
class ChildSpec:
    name: str
    """Of the log and record files, e.g. ``postgres``."""
    title: str
    """For people, e.g. ``Postgres``."""
    argv: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    """Whether it serves now; False while it is coming up."""
    detail: str = ""
    """Where it can be reached, for the progress line."""
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of ours."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """``user``, ``group`` and ``extra_groups``, as ``subprocess`` takes them."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20
    start_seconds: float = 60
    before_start: Callable[[], Awaitable[None]] = _nothing
    before_stop: Callable[[], Awaitable[None]] = _nothing
    """Asked of it before it is signalled at the end, e.g. to stop the apps that it supervises."""


@dataclass(frozen=True)
class Files:
    """Where a home keeps logs and records of its children."""

    home: Path

    @property
    def records(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def prepare(self) -> None:
        for folder in (self.records, self.logs):
            folder.mkdir(exist_ok=True, mode=0o700)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def record(self, name: str) -> Path:
        return self.records / f"{name}.json"

    def rotate(self, name: str) -> None:
        """Keep the logs of the last starts as ``name.log.1`` to ``.3``."""
        log = self.log(name)
        if not log.exists() or log.stat().st_size == 0:
            return
        for age in range(_KEPT_LOGS - 1, 0, -1):
            older = log.with_name(f"{log.name}.{age}")
            if older.exists():
                older.rename(log.with_name(f"{log.name}.{age + 1}"))
        log.rename(log.with_name(f"{log.name}.1"))

    def tail(self, name: str, lines: int = 15) -> str:
        try:
            with self.log(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


async def spawn(spec: ChildSpec, files: Files) -> asyncio.subprocess.Process:
    """Start it, appending to its log, and record it. Raises OSError when the program cannot be run."""
    with files.log(spec.name).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **spec.env},
            cwd="/",
            start_new_session=True,
            **spec.identity,
        )
    with contextlib.suppress(psutil.Error):
        written = {
            "name": spec.name,
            "pid": process.pid,
            "create_time": psutil.Process(process.pid).create_time(),
        }
        files.record(spec.name).write_text(json.dumps(written))
    return process


async def end(process: asyncio.subprocess.Process, spec: ChildSpec, files: Files) -> bool:
    """Signal it, wait, then kill its whole session. False when it had to be killed."""
    graceful = True
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(spec.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), spec.stop_seconds)
        except TimeoutError:
            graceful = False
    kill_session(process.pid)
    await process.wait()
    files.record(spec.name).unlink(missing_ok=True)
    return graceful


def kill_session(leader: int) -> None:
    """SIGKILL whatever is left of the process group that a child of ours led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


@dataclass(frozen=True)
class Leftover:
    """A child of a ``paas up`` that is gone."""

    name: str
    pid: int
    create_time: float
    record: Path


def leftovers(files: Files) -> list[Leftover]:
    """Those still running, in the order in which they were started; records of the dead are removed."""
    found = []
    for record in files.records.glob("*.json"):
        try:
            written = json.loads(record.read_text())
            leftover = Leftover(written["name"], written["pid"], written["create_time"], record)
        except (ValueError, KeyError, TypeError):
            record.unlink(missing_ok=True)
            continue
        if is_alive(leftover.pid, leftover.create_time):
            found.append(leftover)
        else:
            record.unlink(missing_ok=True)
    return sorted(found, key=lambda leftover: leftover.create_time)


def end_leftover(leftover: Leftover, *, stop_apps: bool = False, seconds: float = 60) -> None:
    """Signal it, wait, then kill its session. The agent leaves its apps running, for the next agent to
    adopt, unless ``stop_apps``."""
    interrupts = leftover.name == "postgres" or (leftover.name == "agent" and stop_apps)
    stop = signal.SIGINT if interrupts else signal.SIGTERM
    try:
        process = psutil.Process(leftover.pid)
        process.send_signal(stop)
        process.wait(seconds)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        kill_session(leftover.pid)
    leftover.record.unlink(missing_ok=True)
