"""The server killed at every step of a push: nothing is lost, nothing is done twice, nothing is left over."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta

import psutil
import pytest

from app.models import PushStatus
from app.pushes.reconcile import PushReconciler
from app.pushes.service import STEPS
from app.reconcile.driver import Driver
from tests.conftest import free_port
from tests.git.world import GitWorld

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("step", STEPS)
async def test_push_is_finished_whatever_step_the_server_died_at(
    world: GitWorld, step: str
) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    options = ["-o", "wait"] if step.startswith("push.wait") else []
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.pushes.server",
        world.database.url,
        world.wiring.settings.home,
        str(port),
        step,
    )
    try:
        await _answers(port)
        clone.remote = world.url().replace(f":{world.port}/", f":{port}/")
        async with world.worker():
            ran = await clone.push(*options, "main")
            assert await server.wait() == -signal.SIGKILL, ran
            assert ran.status != 0
            await _no_git_left(world)
            await _recover(world)
            await _recover(world)
    finally:
        if server.returncode is None:
            server.kill()
    (push,) = await world.pushes()
    deployments = await world.deployments()
    ref = await world.repositories.read_ref(world.key, "refs/heads/main")
    if push.status is PushStatus.DEPLOYED:
        assert ref == sha
        assert len(deployments) == 1
    else:
        assert push.status is PushStatus.REJECTED
        assert ref is None
        assert deployments == []
    assert (push.status is PushStatus.DEPLOYED) == (step not in _BEFORE_ANYTHING_COUNTS)
    clone.remote = world.url()
    second = await clone.commit("second", a="2")
    async with world.worker():
        again = await clone.push("main")
    assert again.status == 0, again
    assert await world.repositories.branches(world.key) == {"main": second}


_BEFORE_ANYTHING_COUNTS = {"push.recorded", "push.wait_kept"}


async def _recover(world: GitWorld) -> None:
    """As a worker does from time to time: here until the push has ended."""
    reconciler = PushReconciler(
        world.database,
        world.repositories,
        world.wiring.previews,
        presumed_dead_after=timedelta(seconds=0),
    )
    async with asyncio.timeout(30):
        while True:
            await Driver(world.database, [reconciler]).run_until_idle()
            if all(push.status is not PushStatus.RECEIVED for push in await world.pushes()):
                return
            await asyncio.sleep(0.05)


async def _no_git_left(world: GitWorld) -> None:
    async with asyncio.timeout(30):
        while any(_serves(p, str(world.repository)) for p in psutil.process_iter()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _serves(process: psutil.Process, repository: str) -> bool:
    try:
        return repository in process.cmdline() or (
            process.cwd() == repository and process.name() in {"proc-receive", "cat", "git"}
        )
    except psutil.Error:
        return False


async def _answers(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
