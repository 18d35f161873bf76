"""What the reconcilers did last, for operators."""

from __future__ import annotations

from datetime import datetime

import strawberry
from sqlalchemy import select
from strawberry.scalars import JSON

from app import models
from app.access.permissions import require_operator
from app.graphql.context import Info
from app.graphql.node import FromRow, shows


@shows(models.ReconcilerStatus)
@strawberry.type(description="One kind of background work, as it went the last time.")
class Reconciler(FromRow):
    name: str
    worker: str = strawberry.field(description="The process that did it.")
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_error: str | None
    detail: JSON


@strawberry.type
class ReconcilerQueries:
    @strawberry.field(description="For operators of the platform only.")
    async def reconcilers(self, info: Info) -> list[Reconciler]:
        require_operator(info.context.require_actor(), "see the reconcilers")
        async with info.context.container.database.read_session() as session:
            rows = await session.scalars(
                select(models.ReconcilerStatus).order_by(models.ReconcilerStatus.name)
            )
        return [Reconciler.of(row) for row in rows]
