"""Waiting on rows while a worker runs in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.models import TERMINAL_STATUSES, Deployment, DeploymentStatus
from app.reconcile.wake import WakeListener
from tests.deployments.stage import Stage


@asynccontextmanager
async def worker(stage: Stage) -> AsyncIterator[None]:
    """Reconcile in the background, woken as a real worker is."""
    listener = WakeListener(stage.database.url)
    await listener.start()
    await listener.listening()
    stop = asyncio.Event()
    work = asyncio.create_task(stage.driver(listener).run(stop))
    try:
        yield
    finally:
        stop.set()
        await work
        await listener.close()


async def until(stage: Stage, deployment: Deployment, wanted: DeploymentStatus) -> Deployment:
    """Until it has this status. Fails when it ends in another, saying why."""
    async with asyncio.timeout(60):
        while True:
            found = await stage.deployment(deployment.id)
            if found.status is wanted:
                return found
            assert found.status not in TERMINAL_STATUSES, found.failure_message
            await asyncio.sleep(0.02)
