"""Components: started in order, restarted when they end, stopped without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from app.up import children
from app.up.children import ChildSpec, Files, Leftover
from app.up.errors import ChildFailed
from app.up.supervisor import Supervisor

_SLEEP = "import time; print('started', flush=True); time.sleep(600)"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _SLEEP


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.prepare()
    return files


def spec(files: Files, code: str = _SLEEP, name: str = "part", **changes: float) -> ChildSpec:
    async def ready() -> bool:
        return "started" in files.tail(name)

    return ChildSpec(
        name=name, title="Part", argv=[sys.executable, "-c", code], ready=ready, **changes  # type: ignore[arg-type]
    )  # fmt: skip


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_started_component_is_recorded_and_gone_after_stop(files: Files) -> None:
    said: list[str] = []
    supervisor = Supervisor(files, said.append)
    await supervisor.start(spec(files))
    pid = supervisor.pids()["part"]

    assert json.loads(files.record("part").read_text())["pid"] == pid
    assert "ready" in said[0]
    await supervisor.stop()

    assert not psutil.pid_exists(pid)
    assert not files.record("part").exists()


async def test_component_that_dies_at_start_shows_the_end_of_its_log(files: Files) -> None:
    supervisor = Supervisor(files, print)
    dying = spec(files, code="print('no such database'); raise SystemExit(3)")

    with pytest.raises(ChildFailed) as caught:
        await supervisor.start(dying)

    assert "exit code 3" in caught.value.message
    assert "no such database" in caught.value.message
    assert str(files.log("part")) in str(caught.value.hint)
    await supervisor.stop()


async def test_missing_program_says_so(files: Files) -> None:
    async def never() -> bool:
        return False

    missing = ChildSpec(name="x", title="X", argv=["/nonexistent/program"], ready=never)
    with pytest.raises(ChildFailed, match="cannot be started"):
        await Supervisor(files, print).start(missing)


async def test_killed_component_comes_back_and_it_is_said(files: Files) -> None:
    said: list[str] = []
    supervisor = Supervisor(files, said.append)
    await supervisor.start(spec(files))
    first = supervisor.pids()["part"]

    os.kill(first, signal.SIGKILL)
    await until(lambda: any("is back" in line for line in said))

    assert supervisor.pids()["part"] != first
    assert any("signal 9; restarting" in line and str(files.log("part")) in line for line in said)
    await supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in supervisor.pids().values())


async def test_deaf_component_is_killed_with_what_it_started(files: Files) -> None:
    parent = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    said: list[str] = []
    supervisor = Supervisor(files, said.append)
    await supervisor.start(spec(files, code=parent + _DEAF, stop_seconds=0.2))
    pid = supervisor.pids()["part"]
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) == 2

    await supervisor.stop()

    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert any("was killed" in line for line in said)


async def test_last_started_is_stopped_first(files: Files) -> None:
    order: list[str] = []

    def noting(name: str) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            order.append(name)

        return note

    supervisor = Supervisor(files, print)
    for name in ("first", "second"):
        plain = spec(files, name=name)
        await supervisor.start(
            ChildSpec(name, name, plain.argv, plain.ready, before_stop=noting(name))
        )
    await supervisor.stop()
    assert order == ["second", "first"]


async def test_leftovers_are_known_by_creation_time_and_ended(files: Files) -> None:
    process = await children.spawn(spec(files), files)
    reused = {"name": "other", "pid": os.getpid(), "create_time": 1.0}
    files.record("other").write_text(json.dumps(reused))
    files.record("broken").write_text("{")

    found = children.leftovers(files)

    assert [leftover.pid for leftover in found] == [process.pid]
    assert not files.record("other").exists()
    waiting = asyncio.create_task(process.wait())
    await asyncio.to_thread(_end, found[0])
    await waiting  # its code is lost: psutil reaped it, which for a true left-over init does
    assert not found[0].record.exists()
    assert children.leftovers(files) == []


def _end(leftover: Leftover) -> None:
    children.end_leftover(leftover, seconds=5)


def test_logs_of_earlier_starts_are_kept_and_numbered(files: Files) -> None:
    for content in ("one", "two", "three", "four", "five"):
        files.rotate("part")
        files.log("part").write_text(content)

    kept = [files.log("part").read_text()]
    kept += [files.log("part").with_name(f"part.log.{age}").read_text() for age in (1, 2, 3)]
    assert kept == ["five", "four", "three", "two"]
    assert len(list(files.logs.iterdir())) == 4
