"""The worker killed at every step of webhooks, remotes, statuses and previews; another goes on."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from sqlalchemy import select, update

from app.environments import previews
from app.models import (
    DeliveryStatus,
    Deployment,
    Environment,
    PushStatus,
    RemoteHost,
    RemotePushStatus,
    WebhookDelivery,
)
from app.remotes import reconcile as remotes
from app.remotes import statuses
from app.webhooks import reconcile as webhooks
from app.webhooks import service as webhook_service
from tests.conftest import free_port
from tests.git.world import GitWorld
from tests.remotes.conftest import LOOPBACK, Linked
from tests.remotes.worker import driver

pytestmark = pytest.mark.slow

MAIN = "refs/heads/main"


async def _die(world: GitWorld, step: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.remotes.worker",
        world.database.url,
        world.wiring.settings.home,
        step,
    )
    try:
        async with asyncio.timeout(60):
            assert await process.wait() == -signal.SIGKILL, f"{step} was not passed"
    finally:
        if process.returncode is None:
            process.kill()


async def _go_on(world: GitWorld) -> None:
    await driver(world.database, world.wiring.settings.home).run_until_idle()


class Receiver:
    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[tuple[str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((request.headers.get("webhook-id", ""), await request.text()))
        return web.Response(status=201)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{any:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
    yield receiver
    await runner.cleanup()


@pytest.mark.parametrize("step", remotes.STEPS)
async def test_push_elsewhere_is_deployed_once(linked: Linked, step: str) -> None:
    await linked.link()
    sha = await linked.upstream.commit("first", a="1")
    await linked.upstream.push("-o", "no-wait", "main")
    await linked.say(MAIN, sha)
    await _die(linked.world, step)
    await _go_on(linked.world)
    (message,) = await linked.messages()
    (push,) = await linked.world.pushes()
    assert (message.status, message.push_id) == (RemotePushStatus.DONE, push.id)
    assert (push.status, push.after_sha) == (PushStatus.DEPLOYED, sha)
    assert len(await linked.world.deployments()) == 1
    assert await linked.world.repositories.branches(linked.world.key) == {"main": sha}


@pytest.mark.parametrize("step", webhooks.STEPS)
async def test_event_is_delivered_at_least_once_and_always_under_one_id(
    linked: Linked, receiver: Receiver, step: str
) -> None:
    world = linked.world
    async with world.database.write_transaction() as session:
        webhook, _ = await webhook_service.create(
            session,
            world.actor,
            world.placed.organization,
            world.wiring.secret_box,
            LOOPBACK,
            url=f"http://127.0.0.1:{receiver.port}/hook",
        )
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main")
    await _die(world, step)
    async with world.database.write_transaction() as session:
        await session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.next_attempt_at.is_not(None))
            .values(next_attempt_at=WebhookDelivery.created_at)
        )
    await _go_on(world)
    async with world.database.read_session() as session:
        mine = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id)
        deliveries = list(await session.scalars(mine))
    assert deliveries
    assert {delivery.status for delivery in deliveries} == {DeliveryStatus.SUCCEEDED}
    assert len({delivery.event_id for delivery in deliveries}) == len(deliveries)
    assert {id for id, _ in receiver.got} == {delivery.id for delivery in deliveries}
    repeated = len(receiver.got) - len(deliveries)
    assert repeated == (1 if step == "webhook.sent" else 0)


@pytest.mark.parametrize("step", statuses.STEPS)
async def test_commit_status_is_told_whatever_step_the_worker_died_at(
    linked: Linked, receiver: Receiver, step: str
) -> None:
    url = f"http://127.0.0.1:{receiver.port}/octo/web.git"
    await linked.link(RemoteHost.GITEA, url=url, report_statuses=True)
    clone = await linked.world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main")
    await _die(linked.world, step)
    await _go_on(linked.world)
    assert len(receiver.got) == (2 if step == "status.sent" else 1)
    assert len({body for _, body in receiver.got}) == 1


async def test_idle_preview_ends_although_the_worker_died_ending_it(linked: Linked) -> None:
    world = linked.world
    placed = await world.environment("staging", "staging")
    async with world.database.write_transaction() as session:
        await previews.set_rule(
            session,
            world.actor,
            placed.project,
            branch_pattern="pr-*",
            source=placed.environment,
            idle_hours=1,
        )
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main:pr-1")
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    async with world.database.write_transaction() as session:
        preview = (Environment.project_id == placed.project.id) & (
            Environment.preview_branch == "pr-1"
        )
        await session.execute(update(Environment).where(preview).values(expires_at=long_ago))
        await session.execute(update(Deployment).values(created_at=long_ago))
    await _die(world, "preview.expired")
    async with world.database.read_session() as session:
        still = await session.scalar(select(Environment.deleted_at).where(preview))
    assert still is None
    await _go_on(world)
    async with world.database.read_session() as session:
        assert await session.scalar(select(Environment.deleted_at).where(preview)) is not None
