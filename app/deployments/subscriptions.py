"""Watching a deployment: its state and steps as they change, and its build's log as it is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import models
from app.access import find
from app.access.actor import Actor
from app.builds.graphql import LOG, LogLine
from app.builds.log import PROGRESS
from app.deployments.graphql import Deployment
from app.deployments.queries import steps
from app.graphql.connection import decode_cursor, encode_cursor
from app.graphql.context import Context, Info
from app.live.watch import refreshed, waking
from app.models import TERMINAL_STATUSES, BuildLogLine, BuildStatus

_LINES_AT_ONCE = 500
_LOOK_EVERY = 15.0
_BUILD_ENDED = frozenset({BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELED})


@strawberry.type(
    description="Lines of a build's log, in order: never one twice, never one left out."
)
class BuildLogEvent:
    lines: list[LogLine]
    cursor: str | None = strawberry.field(
        description="To go on from with `after`, here or in `Deployment.buildLog`; null before the first line."
    )


@strawberry.type
class DeploymentSubscriptions:
    @strawberry.subscription(
        description="At once, then whenever its status, steps or copies change. Completes when it has ended."
    )
    async def deployment(self, info: Info, id: strawberry.ID) -> AsyncGenerator[Deployment, None]:
        context, shown_last = info.context, None
        with waking(context, ("deployment", id)) as woken:
            while True:
                actor = refreshed(context)
                async with context.container.database.read_session() as session:
                    row = await find.deployment(session, actor, id=id)
                    looks = _looks(row, (await steps(session, [row.id]))[row.id])
                if looks != shown_last:
                    shown_last = looks
                    yield Deployment.of(row)
                if row.status in TERMINAL_STATUSES:
                    return
                await woken.wait(_LOOK_EVERY)

    @strawberry.subscription(
        description="The log of the build that it waits for or uses, from `after` on, or from the first line."
        " Completes when the build has ended; at once for a deployment that ended without one."
    )
    async def deployment_logs(
        self,
        info: Info,
        deployment_id: strawberry.ID,
        after: Annotated[
            str | None, strawberry.argument(description="A `cursor` of this log.")
        ] = None,
    ) -> AsyncGenerator[BuildLogEvent, None]:
        context, last = info.context, -1
        if after is not None:
            last = int(decode_cursor(LOG, after, "after"))
        build_id: str | None = None
        while True:
            topics = [("deployment", str(deployment_id)), (PROGRESS, build_id or "")]
            with waking(context, *topics) as woken:
                while True:
                    look = await _read(context, refreshed(context), deployment_id, last)
                    if look.rows:
                        last = look.rows[-1].number
                        yield _event(look.rows)
                    if len(look.rows) == _LINES_AT_ONCE:
                        continue
                    if look.ended:
                        return
                    if look.build_id != build_id:
                        break
                    await woken.wait(_LOOK_EVERY)
            build_id = look.build_id


def _looks(row: models.Deployment, its_steps: Sequence[models.DeploymentStep]) -> list[Any]:
    """All that a viewer can see of it, to compare with what was shown."""
    return [
        [getattr(each, column.key) for column in each.__table__.columns]
        for each in (row, *its_steps)
    ]


@dataclass(frozen=True)
class _Look:
    """What one short session has read of a build's log."""

    build_id: str | None
    rows: Sequence[BuildLogLine]
    ended: bool


async def _read(context: Context, actor: Actor, deployment_id: str, last: int) -> _Look:
    """The state is read before the lines, so that a build that has ended has its whole log shown."""
    async with context.container.database.read_session() as session:
        deployment = await find.deployment(session, actor, id=deployment_id)
        if deployment.build_id is None:
            return _Look(None, (), deployment.status in TERMINAL_STATUSES)
        ended = await _build_ended(session, deployment.build_id)
        rows = await session.scalars(
            select(BuildLogLine)
            .where(BuildLogLine.build_id == deployment.build_id, BuildLogLine.number > last)
            .order_by(BuildLogLine.number)
            .limit(_LINES_AT_ONCE)
        )
        return _Look(deployment.build_id, rows.all(), ended)


async def _build_ended(session: AsyncSession, build_id: str) -> bool:
    status = await session.scalar(select(models.Build.status).where(models.Build.id == build_id))
    return status is None or status in _BUILD_ENDED


def _event(rows: Sequence[BuildLogLine]) -> BuildLogEvent:
    return BuildLogEvent(
        lines=[LogLine.of(row) for row in rows], cursor=encode_cursor(LOG, rows[-1])
    )
