"""Copies as processes of this machine. It isolates nothing; it only supervises.

Each copy leads a session of its own, so that a signal meant for the agent does not reach it and all of it
can be killed. Its output goes straight to a file: with a pipe it would die with the agent.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.agent import sessions
from app.agent.driver import Consumption, Exit, StartFailed
from app.agent.environment import Folders, build
from app.agent.logfiles import rotate, tail
from app.agent.records import CopyRecord
from app.agent.slugs import SlugCache, SlugUnavailable
from app.agent.spec import JobSpec
from app.agent.store import Store
from app.agent.user import AppUser, identity
from jobs.render import unescaped

logger = logging.getLogger(__name__)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLL_SECONDS = 0.1
_AFTER_KILL_SECONDS = 10.0


class ProcessHandle:
    """A process, ours or one that an earlier agent started. Made on the event loop's thread."""

    def __init__(
        self, copy_id: str, pid: int, mark: str, child: subprocess.Popen[bytes] | None
    ) -> None:
        self.copy_id = copy_id
        self.pid = pid
        self.mark = mark
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._child = child
        self._over_limit = False
        self._stopping = False
        self._poller: asyncio.Task[None] | None = None
        self._watch()

    async def stop(self, signal_name: str, timeout: float) -> None:
        """Everything in the session is signalled, and given the time: a shell that runs the app would
        end at once and leave it behind, unasked."""
        self._stopping = True
        deadline = time.monotonic() + timeout
        sessions.signal_group(self.pid, self.mark, getattr(signal, signal_name, signal.SIGTERM))
        await asyncio.wait([self.exited], timeout=timeout)
        while sessions.has_members(self.pid) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        sessions.kill_session(self.pid, self.mark)
        await asyncio.wait([self.exited], timeout=_AFTER_KILL_SECONDS)
        sessions.kill_marked("NOMAD_ALLOC_ID", self.copy_id)

    async def consumption(self) -> Consumption | None:
        return await asyncio.to_thread(sessions.consumption, self.pid)

    def kill_for_memory(self) -> None:
        self._over_limit = True
        sessions.kill_session(self.pid, self.mark)

    def _watch(self) -> None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._ended()
        except (AttributeError, OSError):
            self._poller = asyncio.create_task(self._poll())
        else:
            asyncio.get_running_loop().add_reader(descriptor, self._readable, descriptor)

    def _readable(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._ended()

    async def _poll(self) -> None:
        while sessions.start_mark(self.pid) == self.mark:  # noqa: ASYNC110 - nothing signals it here
            await asyncio.sleep(_POLL_SECONDS)
        self._ended()

    def _ended(self) -> None:
        """The first process is gone: so is the copy. Kill what it left before its number is given anew."""
        if not self._stopping:
            sessions.kill_session(self.pid, self.mark)
        code = None if self._child is None else self._child.wait()
        if code is not None and code < 0:
            code = 128 - code
        if self._over_limit:
            code = 128 + signal.SIGKILL
        if not self.exited.done():
            self.exited.set_result(Exit(code, oom_killed=self._over_limit))


class ProcessDriver:
    def __init__(self, store: Store, slugs: SlugCache, user: AppUser | None) -> None:
        self._store = store
        self._slugs = slugs
        self._user = user
        self._running: dict[str, tuple[ProcessHandle, int]] = {}

    async def start(
        self, copy: CopyRecord, spec: JobSpec, secrets: Mapping[str, str]
    ) -> ProcessHandle:
        try:
            folders = await self._make_folders(copy, spec)
        except (SlugUnavailable, OSError) as error:
            raise StartFailed(f"The app's folder cannot be made: {error}") from error
        environment = {**self._base_environment(folders), **build(copy, spec, folders, secrets)}
        child = self._spawn(copy, spec, environment, Path(folders.task).parent)
        sessions.prefer_as_victim(child.pid)
        copy.pid, copy.mark = child.pid, sessions.start_mark(child.pid)
        return self._track(ProcessHandle(copy.id, child.pid, copy.mark, child), spec)

    async def adopt(self, copy: CopyRecord, spec: JobSpec) -> ProcessHandle | None:
        if copy.pid is None or not copy.mark or sessions.start_mark(copy.pid) != copy.mark:
            sessions.kill_marked("NOMAD_ALLOC_ID", copy.id)
            return None
        return self._track(ProcessHandle(copy.id, copy.pid, copy.mark, None), spec)

    async def log_tail(self, copy: CopyRecord, lines: int) -> Sequence[str]:
        return tail(self._store.log_paths(copy.id), lines)

    async def remove(self, copy: CopyRecord) -> None:
        sessions.kill_marked("NOMAD_ALLOC_ID", copy.id)
        shutil.rmtree(self._store.work_folder(copy.id), ignore_errors=True)

    def enforce_limits(self) -> None:
        """Kill copies that use more memory than they were promised, and keep their logs within bounds."""
        used = sessions.resident([handle.pid for handle, _ in self._running.values()])
        for handle, limit in list(self._running.values()):
            over = used.get(handle.pid, 0) > limit
            if over and sessions.fair_share(handle.pid) > limit:
                logger.warning("copy %s uses more than %d MB: killed", handle.copy_id, limit >> 20)
                handle.kill_for_memory()
            for path in self._store.log_paths(handle.copy_id):
                rotate(path)

    def _track(self, handle: ProcessHandle, spec: JobSpec) -> ProcessHandle:
        self._running[handle.copy_id] = (handle, spec.memory_mb << 20)
        handle.exited.add_done_callback(lambda _: self._running.pop(handle.copy_id, None))
        return handle

    async def _make_folders(self, copy: CopyRecord, spec: JobSpec) -> Folders:
        """Once a copy, complete before any of it is given away, and never touched afterwards: whoever owns
        a folder may put a link in the place of what is in it, and root would follow that at a restart."""
        work = self._store.work_folder(copy.id)
        task, alloc, made = work / spec.task, work / "alloc", work / "made"
        inner = [task / "local", task / "secrets", task / "tmp"]
        if not made.exists():
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(mode=0o711)
            for folder in (alloc, task, *inner):
                folder.mkdir(mode=0o700)
            for fetch in spec.fetches:
                await self._slugs.place(fetch, task / fetch.destination)
            if self._user is not None:
                self._user.give(*inner, task, alloc)
            made.touch()
        return Folders(str(task / "local"), str(alloc), str(task / "secrets"))

    def _base_environment(self, folders: Folders) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", _PATH),
            "HOME": folders.task,
            "LANG": "C.UTF-8",
            "TMPDIR": str(Path(folders.task).parent / "tmp"),
            **({"USER": self._user.name} if self._user else {}),
        }

    def _spawn(
        self, copy: CopyRecord, spec: JobSpec, environment: dict[str, str], folder: Path
    ) -> subprocess.Popen[bytes]:
        config: Mapping[str, Any] = spec.config
        arguments = [config["command"], *(config.get("args") or ())]
        try:
            out, err = self._store.log_paths(copy.id)
            with out.open("ab") as stdout, err.open("ab") as stderr:
                return subprocess.Popen(
                    [unescaped(argument) for argument in arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                    umask=0o022,
                    **identity(self._user),
                )
        except (OSError, ValueError) as error:
            raise StartFailed(_why_not_started(error), permanent=True) from error


def _why_not_started(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return (
            "The app's variables are too large for a process: one may have 128 KB, "
            "and all together about 2 MB."
        )
    return f"The app's process cannot be started: {error}"
