"""Runs one command of a build: the only place where a tenant's code is executed.

It gets a session of its own, a user of its own where we are root, a clean environment, limits on CPU time
and file size, and a watched amount of disk. Whatever ends it (its own exit, a limit, cancellation), its
whole group is killed before ``run`` returns, and everything else of its user by whoever lent the user.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.adapters.builder.users import BUILD_MARK, OURSELVES, BuildUser, is_root
from app.adapters.local.postgres import others_may_enter
from app.errors import ExternalFailure, InvalidInput
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed, WriteLine
from app.settings import inherited_environment

_CHUNK = 64 * 1024
_LINE_LIMIT = 8 * 1024
_MEGABYTE = 1024 * 1024
_DISK_CHECK_SECONDS = 1.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

INHERITED = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX",
    "UV_EXTRA_INDEX_URL", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "NPM_CONFIG_REGISTRY",
)  # fmt: skip
"""What a build sees of the platform's environment: how to reach registries, and nothing more."""

# The tenant's variables are read only after the privileges are gone: the program that drops them must
# not see an LD_PRELOAD of theirs. The CPU and file limits are inherited by every descendant.
_SCRIPT = 'ulimit -c 0; ulimit -t "$1"; ulimit -f "$2"; umask 022; . "$3" && rm -f "$3"; shift 3; exec "$@"'


@dataclass(frozen=True)
class Limits:
    seconds: int = 900
    """CPU seconds of each process; the wall clock is watched by whoever calls."""
    megabytes: int = 2048
    """Of one file, and of the whole scratch folder."""


@dataclass(frozen=True)
class Command:
    arguments: Sequence[str]
    scratch: Path
    """Holds HOME and TMPDIR; what grows in it is watched."""
    build_id: str
    cwd: Path | None = None
    """Default: ``scratch``."""
    env: Mapping[str, str] = field(default_factory=dict)
    user: BuildUser = OURSELVES
    limits: Limits = Limits()


async def run(command: Command, write: WriteLine) -> int:
    """Run it, line by line into ``write``; returns its exit status, negative for a signal.

    Raises BuildFailed(BUILD_LIMIT) for the limits, and whatever ``write`` raises.
    """
    read_end, write_end = os.pipe()
    try:
        process = await _start(command, write_end)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    reader, transport = await _connect(read_end)
    output = asyncio.create_task(_pump(reader, write))
    disk = asyncio.create_task(_watch_disk(command))
    ended = asyncio.create_task(process.wait())
    try:
        await _first_failure_or_end(ended, output, disk)
        _kill_group(process.pid)
        await output
        return await _understood(ended.result(), command)
    finally:
        _kill_group(process.pid)
        await asyncio.shield(ended)
        for task in (output, disk):
            task.cancel()
        await asyncio.gather(output, disk, return_exceptions=True)
        transport.close()


def program(name: str) -> str:
    """Its full path. Raises ExternalFailure when it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise ExternalFailure(f"`{name}` is not installed on the machine that builds.")
    return found


async def _start(command: Command, output: int) -> asyncio.subprocess.Process:
    cwd = command.cwd or command.scratch
    limits = [str(command.limits.seconds), str(command.limits.megabytes * 2048)]
    wrapped = ["/bin/sh", "-c", _SCRIPT, "sh", *limits, str(_environment_file(command))]
    return await asyncio.create_subprocess_exec(
        *_without_privileges(command.user),
        *wrapped,
        *command.arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=cwd,
        env={**_inherited(), BUILD_MARK: command.build_id},
        start_new_session=True,
    )


def _inherited() -> dict[str, str]:
    values = inherited_environment(INHERITED)
    folders = [Path(folder) for folder in values.get("PATH", os.defpath).split(os.pathsep)]
    if is_root():
        folders = [folder for folder in folders if others_may_enter(folder)]
    return {**values, "PATH": os.pathsep.join(str(folder) for folder in folders)}


def _without_privileges(user: BuildUser) -> list[str]:
    if user.uid is None:
        return []
    identity = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--no-new-privs"]
    return [program("setpriv"), *identity, "--"]


def _environment_file(command: Command) -> Path:
    home, temporary = command.scratch / "home", command.scratch / "tmp"
    for folder in (home, temporary):
        folder.mkdir(exist_ok=True, mode=0o700)
        command.user.own(folder)
    values = {"HOME": str(home), "TMPDIR": str(temporary), **command.env}
    path = command.scratch / "environment.sh"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if command.user.uid is not None and command.user.gid is not None:
            os.fchown(descriptor, command.user.uid, command.user.gid)
        file.writelines(
            f"export {_checked(name)}={shlex.quote(value)}\n" for name, value in values.items()
        )
    return path


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name[:80]!r} is not a usable name for a variable of the build.")
    return name


async def _connect(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader, transport


async def _first_failure_or_end(
    ended: asyncio.Task[int], output: asyncio.Task[None], disk: asyncio.Task[None]
) -> None:
    """A process may close its output and go on; it must not write on without being watched."""
    waiting: set[asyncio.Task[int] | asyncio.Task[None]] = {ended, output, disk}
    while not ended.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ended}:
            task.result()


async def _pump(reader: asyncio.StreamReader, write: WriteLine) -> None:
    pending = b""
    while chunk := await reader.read(_CHUNK):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            await write(_text(line))
        if len(pending) > _LINE_LIMIT:
            await write(_text(pending))
            pending = b""
    if pending:
        await write(_text(pending))


def _text(line: bytes) -> str:
    """What a terminal would show in the end: a progress bar overwrites itself with carriage returns."""
    return line[:_LINE_LIMIT].rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


async def _watch_disk(command: Command) -> None:
    limit = command.limits.megabytes
    while True:
        await asyncio.sleep(_DISK_CHECK_SECONDS)
        used = await asyncio.to_thread(_disk_usage, command.scratch)
        if used > limit * _MEGABYTE:
            raise _too_large(limit)


def _disk_usage(folder: Path) -> int:
    total, folders = 0, [str(folder)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return total


async def _understood(status: int, command: Command) -> int:
    """The shell that a program ran under turns a signal into 128 + its number; a program that ignores the
    signal of the file limit fails in its own words, with the folder as full as it may be."""
    number = -status if status < 0 else status - 128
    if number == signal.SIGXCPU:
        raise BuildFailed(
            FailureCode.BUILD_TIMEOUT,
            f"A process of the build used more than {command.limits.seconds} seconds of CPU time.",
            "Make the build do less, or raise PAAS_BUILD_TIMEOUT_SECONDS.",
        )
    if status != 0:
        used = await asyncio.to_thread(_disk_usage, command.scratch)
        if number == signal.SIGXFSZ or used >= command.limits.megabytes * _MEGABYTE:
            raise _too_large(command.limits.megabytes)
    return status


def _too_large(megabytes: int) -> BuildFailed:
    return BuildFailed(
        FailureCode.BUILD_LIMIT,
        f"The build wrote more than {megabytes} MB to disk.",
        "Install fewer or smaller dependencies, or raise PAAS_BUILD_MAX_SLUG_MB.",
    )


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
