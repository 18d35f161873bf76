"""What a resolver is given: who asks, the platform's parts, and the request's loaders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import strawberry

from app import models
from app.access.actor import Actor
from app.access.permissions import PERMISSIONS, Permission
from app.errors import Unauthenticated
from app.graphql import enums as enums  # before any type that mentions one
from app.graphql.connection import (
    Connection,
    Edge,
    Listing,
    encode_cursor,
    page_info,
    page_of,
)
from app.graphql.loaders import Loaders
from app.graphql.node import shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from app.crypto import SecretBox
    from app.db import Database
    from app.ports.builder import SlugStore
    from app.ports.ingress import Ingress
    from app.ports.repositories import Repositories
    from app.ports.scheduler import Scheduler
    from app.settings import Settings


ENGINE_CALLS_AT_ONCE = 8
"""Of one request, to the scheduler or the router's catalog."""


class Parts(Protocol):
    """What the API uses of ``app.container.Container``."""

    @property
    def settings(self) -> Settings: ...
    @property
    def engine(self) -> str: ...
    @property
    def database(self) -> Database: ...
    @property
    def secret_box(self) -> SecretBox: ...
    @property
    def repositories(self) -> Repositories: ...
    @property
    def scheduler(self) -> Scheduler: ...
    @property
    def ingress(self) -> Ingress: ...
    @property
    def slugs(self) -> SlugStore: ...


@dataclass
class Context:
    """One a request."""

    container: Parts
    actor: Actor | None
    """None for a request without a token: it may look at the schema, and at nothing else."""
    request_id: str
    loaders: Loaders = field(init=False)
    engine_calls: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(ENGINE_CALLS_AT_ONCE)
    )

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop what was read: after a mutation it may no longer be so."""
        self.loaders = Loaders(self.container.database)

    def require_actor(self) -> Actor:
        if self.actor is None:
            raise Unauthenticated(
                "This needs a token.",
                hint="Send the header 'Authorization: Bearer paas_…'; `paas admin token create` makes one.",
            )
        return self.actor

    async def allows(self, organization_id: str, permission: Permission) -> bool:
        """``app.access.permissions.allows``, batched over the objects of a request."""
        actor = self.require_actor()
        if actor.is_admin:
            return True
        role = await self.role_in(organization_id)
        return role is not None and permission in PERMISSIONS[role]

    async def role_in(self, organization_id: str) -> models.Role | None:
        user_id = self.require_actor().user_id
        if user_id is None:
            return None
        membership = await self.loaders.find(
            models.Membership, organization_id=organization_id, user_id=user_id
        )
        return None if membership is None else membership.role

    async def shown(self, row: type[models.Base], identifier: str) -> Any:
        """The row of this id as its GraphQL type. Raises NotFound when it was deleted meanwhile."""
        return shown(await self.loaders.by_id(row, identifier))

    async def shown_or_none(self, row: type[models.Base], **values: Hashable) -> Any:
        """The row whose columns have these values, unique together, as its GraphQL type."""
        if any(value is None for value in values.values()):
            return None
        found = await self.loaders.find(row, **values)
        return None if found is None else shown(found)

    async def connection(
        self,
        listing: Listing,
        parent: str,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        *,
        filter: Hashable = None,
    ) -> Connection[Any]:
        """The page of ``listing`` under ``parent``; ``filter`` is what the listing's ``where`` is given."""
        page = page_of(listing, first, after, last, before)
        found = await self.loaders.page(listing, parent, filter, page)
        cursors: Sequence[str] = [encode_cursor(listing, row) for row in found.rows]
        edges = [
            Edge(cursor=cursor, node=shown(row))
            for cursor, row in zip(cursors, found.rows, strict=True)
        ]
        return Connection(
            edges=edges,
            page_info=page_info(cursors, found),
            count=lambda: self.loaders.count(listing, parent, filter),
        )


Info = strawberry.Info[Context, None]
