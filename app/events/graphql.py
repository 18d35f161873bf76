"""Events as people and programs read them: a connection of an instance, and a subscription."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from app import models
from app.access import find
from app.events import queries
from app.events.service import WAKE
from app.events.words import sentence
from app.graphql.connection import Listing, decode_cursor, encode_cursor
from app.graphql.context import Info
from app.graphql.node import FromRow, shows
from app.live.watch import refreshed, waking
from app.tokens.graphql import User

EVENTS = Listing(
    row=models.Event,
    parent=models.Event.instance_id,
    key=models.Event.id,
    descending=True,
)

_LOOK_EVERY = 15.0
_AT_ONCE = 100


@shows(models.Event)
@strawberry.type(description="Something that happened, written down when it did. Kept for a while.")
class Event(FromRow):
    kind: models.EventKind
    created_at: datetime
    payload: JSON = strawberry.field(description="Depends on the kind; holds no variable's value.")
    cursor: str = strawberry.field(description="To go on from with `after`.")
    message: str = strawberry.field(description="One plain sentence.")
    deployment_id: strawberry.ID | None
    user_id: strawberry.Private[str | None]

    @classmethod
    def of(cls, row: models.Event) -> Event:
        return cls(
            kind=row.kind,
            created_at=row.created_at,
            payload=JSON(row.payload),
            cursor=encode_cursor(EVENTS, row),
            message=sentence(row.kind, row.payload),
            deployment_id=None if row.deployment_id is None else strawberry.ID(row.deployment_id),
            user_id=row.user_id,
        )

    @strawberry.field(description="Who caused it; null for what the platform or the app did.")
    async def user(self, info: Info) -> User | None:
        found: User | None = await info.context.shown_or_none(models.User, id=self.user_id)
        return found


@strawberry.type
class EventSubscriptions:
    @strawberry.subscription(
        description="Each event of the instance after the cursor, then each as it happens; without a cursor"
        " those that happen from now on."
    )
    async def instance_events(
        self,
        info: Info,
        instance_id: strawberry.ID,
        after: Annotated[
            str | None, strawberry.argument(description="An event's `cursor`.")
        ] = None,
    ) -> AsyncGenerator[Event, None]:
        context = info.context
        last = None if after is None else int(decode_cursor(EVENTS, after, "after"))
        with waking(context, (WAKE, instance_id)) as woken:
            while True:
                actor = refreshed(context)
                async with context.container.database.read_session() as session:
                    await find.instance(session, actor, id=instance_id)
                    if last is None:
                        last = await queries.newest(session)
                    rows = await queries.after(
                        session, last, instance_id=instance_id, limit=_AT_ONCE
                    )
                for row in rows:
                    yield Event.of(row)
                    last = row.id
                if len(rows) < _AT_ONCE:
                    await woken.wait(_LOOK_EVERY)
