"""Processes by the session that they are in: an app is everything that its first process started.

Portable through psutil, with Linux's ``/proc`` where that is exact (start times) or fair (shared memory).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import psutil

from app.agent.driver import Consumption

_LINUX = Path("/proc/self/stat").exists()


def start_mark(pid: int) -> str:
    """Tells a process from every other that ever has its number; empty when there is none (a zombie is
    none). On Linux from the kernel's clock ticks: a wall-clock time moves when the clock is set."""
    if _LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if fields[0] in {"Z", "X"} else f"{_boot_id()}:{fields[19]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return ""


def members(sessions: Collection[int]) -> Iterator[tuple[int, int]]:
    """``(pid, session)`` of every process in one of the sessions."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            session = os.getsid(pid)
            if session in sessions:
                yield pid, session


def kill_session(leader: int, mark: str) -> None:
    """SIGKILL everything in the session that ``leader`` began; nothing if its number was given anew."""
    current = start_mark(leader)
    if current and current != mark:
        return
    for pid, _ in members({leader}):
        kill(pid)


def has_members(session: int) -> bool:
    return any(start_mark(pid) for pid, _ in members({session}))


def signal_group(leader: int, mark: str, number: signal.Signals) -> None:
    """Signal the process group that ``leader`` began, unless its number was given anew."""
    if start_mark(leader) in {mark, ""}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)


def kill_marked(variable: str, value: str) -> None:
    """SIGKILL every process whose environment has ``variable`` begin with ``value``: what left its session."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable, "").startswith(value):
                kill(process.pid)


def prefer_as_victim(pid: int) -> None:
    """When memory runs out the kernel shall take apps, and not the platform or its database."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def resident(sessions: Collection[int]) -> dict[int, int]:
    """Bytes in memory per session. Pages that several processes share count for each: see ``fair_share``."""
    totals = dict.fromkeys(sessions, 0)
    for pid, session in members(sessions):
        with contextlib.suppress(psutil.Error):
            totals[session] += psutil.Process(pid).memory_info().rss
    return totals


def fair_share(session: int) -> int:
    """The same, but with shared pages divided among those who share them, where the kernel tells."""
    total = 0
    for pid, _ in members({session}):
        rollup = Path(f"/proc/{pid}/smaps_rollup")
        try:
            lines = rollup.read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration):
            with contextlib.suppress(psutil.Error):
                total += psutil.Process(pid).memory_info().rss
    return total


def consumption(session: int) -> Consumption | None:
    """CPU time and memory of all in the session; what its members' ended children used is counted too."""
    seconds, found = 0.0, False
    for pid, _ in members({session}):
        with contextlib.suppress(psutil.Error):
            seconds += sum(psutil.Process(pid).cpu_times()[:4])
            found = True
    return Consumption(seconds, fair_share(session)) if found else None


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
