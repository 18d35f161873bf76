"""Whom a build runs as.

When the platform is root, each build borrows a system user of its own (``paas-build-1``, …) for as long as
it runs: it cannot read the platform's files or another build's, and whatever it leaves running, in
whatever session, is found by its user and killed. Downloads that run no code of the tenant belong to
``paas-fetch``, so that no build can alter what another is given. When the platform is an ordinary user,
builds run as that user, and nothing is isolated.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.errors import ExternalFailure

SHARED = Path("/var/lib/paas")
BUILD_MARK = "PAAS_BUILD_ID"
"""In the environment of everything that a build starts."""
_LOCKS = SHARED / "build-users"
_PREFIX = "paas-build"
_FETCHER = "paas-fetch"
_END_SECONDS = 10.0
_PUBLIC_PLACES = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


@dataclass(frozen=True)
class BuildUser:
    """``uid`` is None when builds run as ourselves."""

    uid: int | None = None
    gid: int | None = None

    def own(self, *paths: Path) -> None:
        for path in paths:
            if self.uid is not None and self.gid is not None:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


OURSELVES = BuildUser()


def is_root() -> bool:
    return os.geteuid() == 0


@asynccontextmanager
async def borrowed_user() -> AsyncIterator[BuildUser]:
    """A build user that nobody else has, with nothing of it running, neither before nor after."""
    if not is_root():
        yield OURSELVES
        return
    lock, name = await asyncio.to_thread(_lock_free_user)
    try:
        user = _system_user(name)
        await end_all_of(user)
        try:
            yield user
        finally:
            await end_all_of(user)
            await asyncio.to_thread(_remove_litter, user)
    finally:
        os.close(lock)


def fetcher() -> BuildUser:
    """Whom downloads run as; no tenant's code ever does."""
    return _system_user(_FETCHER) if is_root() else OURSELVES


def fetcher_home() -> Path:
    """The fetcher's own folder, closed to others: its download cache."""
    home = SHARED / _FETCHER
    user = fetcher()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    user.own(home)
    return home


async def end_all_of(user: BuildUser) -> None:
    """Kill whatever runs as this user. One call of kill(-1) reaches all at once, so a fork bomb too."""
    if user.uid is None:
        return
    deadline = time.monotonic() + _END_SECONDS
    while await asyncio.to_thread(_running_of, user.uid):
        await asyncio.to_thread(_kill_all_of, user)
        if time.monotonic() > deadline:
            raise ExternalFailure(f"Processes of the build user {user.uid} do not end.")
        await asyncio.sleep(0.02)


async def end_marked(build_id: str) -> None:
    """Kill what an interrupted build of this id left running, wherever it is found by its environment."""
    deadline = time.monotonic() + _END_SECONDS
    while left := await asyncio.to_thread(_marked, f"{BUILD_MARK}={build_id}".encode()):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ExternalFailure(f"Processes of the build {build_id} do not end: {left}.")
        await asyncio.sleep(0.02)


def _remove_litter(user: BuildUser) -> None:
    """What a build wrote where everybody may."""
    for place in _PUBLIC_PLACES:
        for entry in os.scandir(place) if place.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_uid == user.uid:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        os.unlink(entry.path)


def _lock_free_user() -> tuple[int, str]:
    _LOCKS.mkdir(parents=True, exist_ok=True, mode=0o755)
    number = 1
    while True:
        name = f"{_PREFIX}-{number}"
        lock = os.open(_LOCKS / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            number += 1
            continue
        return lock, name


def _system_user(name: str) -> BuildUser:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = _create(name)
    if entry.pw_uid == 0:
        raise ExternalFailure(f"The user {name} is root; builds would run as root.")
    return BuildUser(entry.pw_uid, entry.pw_gid)


def _create(name: str) -> pwd.struct_passwd:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
    ]
    command += ["--shell", "/usr/sbin/nologin", name]
    try:
        finished = subprocess.run(command, check=False, capture_output=True, text=True)
        return pwd.getpwnam(name)
    except (OSError, KeyError) as error:
        said = finished.stderr.strip() if isinstance(error, KeyError) else str(error)
        raise ExternalFailure(
            f"Builds may not run as root, and the user {name} could not be made: {said}",
            hint=f"Create it with: {' '.join(command)}",
        ) from error


def _running_of(uid: int) -> bool:
    for process in psutil.process_iter(["uids", "status"]):
        uids = process.info["uids"]
        if uids is not None and uid in uids and process.info["status"] != psutil.STATUS_ZOMBIE:
            return True
    return False


def _kill_all_of(user: BuildUser) -> None:
    subprocess.run(
        ["/bin/sh", "-c", "kill -KILL -1"],
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        env={},
        cwd="/",
    )


def _marked(mark: bytes) -> list[int]:
    """Linux only: elsewhere a worker that was killed may leave a build's last command running."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
