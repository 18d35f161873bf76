"""Running git: short commands whose output is small, and their failures in our own words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.errors import ExternalFailure
from app.ports.repositories import Exchange

logger = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""Bytes passed on at a time."""
_GRACE_SECONDS = 5.0
_MEMORY_BYTES = 2 * 1024**3
_TAIL_BYTES = 2000


class GitFailed(ExternalFailure):
    """git ended with an error; ``stderr`` has its words."""

    def __init__(self, command: str, status: int, stderr: str) -> None:
        super().__init__(
            f"git {command} failed with status {status}: {stderr.strip() or 'no message'}",
            hint="Look at the platform's log and at the free space of its disk.",
        )
        self.status = status
        self.stderr = stderr


async def spawn(
    *arguments: str, env: Mapping[str, str], pass_fds: Sequence[int] = (), stderr: int = PIPE
) -> Process:
    """A git process in a session of its own, so that it and its helpers can be ended together."""
    try:
        return await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=stderr,
            env=env,
            cwd="/",
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            limit=CHUNK,
        )
    except FileNotFoundError as error:
        raise ExternalFailure(
            "The program git is not on PATH.", hint="Install git 2.38 or newer."
        ) from error


def limit_memory(process: Process) -> None:
    """Of it and of each helper that it starts, where the system can: git holds a commit or tree whole, and a
    push of 1 MB can unfold into one of 1 GB. Mapped packs do not count."""
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            limits = (_MEMORY_BYTES, _MEMORY_BYTES)
            resource.prlimit(process.pid, resource.RLIMIT_DATA, limits)


async def pump(process: Process, exchange: Exchange) -> None:
    """git's output to the client, as fast as the client takes it."""
    assert process.stdout is not None
    while chunk := await process.stdout.read(CHUNK):
        await exchange.send(chunk)


async def tail(process: Process) -> str:
    """The last words of its standard error, read all along so that it never waits for a reader."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(CHUNK):
        kept = (kept + chunk)[-_TAIL_BYTES:]
    return kept.decode(errors="replace")


def log_failure(process: Process, path: Path, words: str) -> None:
    """Clients see most failures themselves; an operator sees them all."""
    if process.returncode:
        logger.info(
            "git ended with status %s for %s: %s",
            process.returncode,
            path.stem,
            words.strip(),
            extra={"repository": path.stem, "status": process.returncode},
        )


async def run(*arguments: str, env: Mapping[str, str], stdin: bytes = b"") -> bytes:
    """The output of a git command that says little. Raises GitFailed."""
    return await communicate(await spawn(*arguments, env=env), arguments[0], stdin)


async def communicate(process: Process, command: str, stdin: bytes) -> bytes:
    """Its output, when it has ended. Raises GitFailed, naming the command."""
    try:
        out, err = await process.communicate(stdin)
    finally:
        await end(process)
    if process.returncode:
        raise GitFailed(command, process.returncode, err.decode(errors="replace"))
    return out


async def end(process: Process) -> bool:
    """Let a process that lost its input finish, then make it. False when it had to be killed.

    git removes its temporary objects when its input ends, but not when it is signalled.
    """
    if process.returncode is not None:
        return True
    if process.stdin is not None:
        process.stdin.close()
    for name in (None, signal.SIGTERM, signal.SIGKILL):
        if name is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, name)
        try:
            await asyncio.wait_for(_drained(process), _GRACE_SECONDS)
        except TimeoutError:
            continue
        return name is None
    return False


async def _drained(process: Process) -> None:
    """Read to the end what it still says: it may wait for a reader before it ends."""
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            while await stream.read(CHUNK):
                pass
    await process.wait()
