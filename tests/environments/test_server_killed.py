"""The server killed while a push makes a preview, or ends one: either all of it happened or nothing."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.environments import previews
from app.models import Environment, PushStatus
from app.pushes.reconcile import PushReconciler
from app.reconcile.driver import Driver
from tests.conftest import free_port
from tests.git.world import GitWorld

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("step", ["preview.made", "preview.branch_gone"])
async def test_preview_is_made_and_ended_once(world: GitWorld, step: str) -> None:
    staging = await world.environment("staging", "staging")
    async with world.database.write_transaction() as session:
        await previews.set_rule(
            session,
            world.actor,
            staging.project,
            branch_pattern="pr-*",
            source=staging.environment,
        )
    clone = await world.clone()
    await clone.commit("first", a="1")
    if step == "preview.branch_gone":
        assert (await clone.push("-o", "no-wait", "main:pr-1")).status == 0
    port = free_port()
    arguments = (world.database.url, world.wiring.settings.home, str(port), step)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.pushes.server", *arguments
    )
    try:
        await _answers(port)
        clone.remote = world.url().replace(f":{world.port}/", f":{port}/")
        refspec = "main:pr-1" if step == "preview.made" else ":pr-1"
        ran = await clone.push("-o", "no-wait", refspec)
        assert await server.wait() == -signal.SIGKILL, ran
    finally:
        if server.returncode is None:
            server.kill()
    dead = timedelta(seconds=0)
    reconciler = PushReconciler(
        world.database, world.repositories, world.wiring.previews, presumed_dead_after=dead
    )
    for _ in range(2):
        await Driver(world.database, [reconciler]).run_until_idle()
    push = (await world.pushes())[-1]
    async with world.database.read_session() as session:
        found = await session.scalars(
            select(Environment.deleted_at).where(
                Environment.project_id == world.placed.project.id,
                Environment.preview_branch == "pr-1",
            )
        )
        (ended,) = list(found)
    assert len(await world.deployments()) == 1
    if step == "preview.made":
        assert (push.status, ended) == (PushStatus.DEPLOYED, None)
    else:
        assert push.status is PushStatus.SKIPPED
        assert ended is not None


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
