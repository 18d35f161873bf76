"""Watching an instance: how it is doing, as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import strawberry

from app.access import find
from app.events.service import WAKE
from app.graphql.context import Info
from app.instances import live
from app.instances.graphql import DEPLOYMENTS, Instance
from app.instances.live import Container
from app.instances.status import InstanceStatus
from app.live.watch import refreshed, waking

_LOOK_EVERY = 15.0
"""Seconds; what a wake tells of at once, the engine and the router may also show without one."""


@strawberry.type(description="How an instance is doing at one moment.")
class InstanceState:
    status: InstanceStatus
    containers: list[Container] | None = strawberry.field(
        description="Null when the engine did not answer."
    )
    instance: Instance


@strawberry.type
class InstanceSubscriptions:
    @strawberry.subscription(
        description="At once, then whenever its status or a container's state has changed."
    )
    async def instance_status(
        self, info: Info, instance_id: strawberry.ID
    ) -> AsyncGenerator[InstanceState, None]:
        context, shown = info.context, None
        with waking(context, (WAKE, instance_id)) as woken:
            while True:
                actor = refreshed(context)
                async with context.container.database.read_session() as session:
                    row = await find.instance(session, actor, id=instance_id)
                status, containers = await asyncio.gather(
                    live.status(context, row, DEPLOYMENTS), live.containers(context, row)
                )
                if (status, containers) != shown:
                    shown = (status, containers)
                    yield InstanceState(
                        status=status, containers=containers, instance=Instance.of(row)
                    )
                await woken.wait(_LOOK_EVERY)
