"""What a resolver is given: who asks, the platform's parts, and the request's loaders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import strawberry

from app import models
from app.access.actor import Actor
from app.access.permissions import Permission, Standing, judge, refuse_unless, roles_of
from app.access.scope import Scope
from app.audit.reads import ShownValues
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
    from collections.abc import Hashable, Mapping, Sequence

    from app.crypto import SecretBox
    from app.db import Database
    from app.http.rate_limits import Standing as RateStanding
    from app.live.caller import Caller
    from app.live.fanout import Fanouts
    from app.ports.builder import SlugStore
    from app.ports.ingress import Ingress
    from app.ports.logs import LogLine, LogStore
    from app.ports.repositories import Repositories
    from app.ports.scheduler import Scheduler
    from app.reconcile.wake import WakeListener
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
    @property
    def logs(self) -> LogStore: ...
    @property
    def log_feeds(self) -> Fanouts[LogLine]: ...
    @property
    def wakes(self) -> WakeListener: ...


def spelled_with(platform: Parts) -> Mapping[str, str]:
    """By the names that ``{platform.…}`` has in ``app/graphql/fields.py:spelled``."""
    port = platform.settings.ingress_port
    return {
        "external_url": platform.settings.external_url,
        "ingress": "" if port == 80 else f":{port}",
    }


@dataclass
class Context:
    """One a request."""

    container: Parts
    actor: Actor | None
    """None for a request without a token: it may look at the schema, and at nothing else."""
    request_id: str
    caller: Caller | None = None
    """Whoever keeps a connection open for this: who it is may change meanwhile."""
    rate: RateStanding | None = None
    """This request's place among the rate limits; None where there are none."""
    cost: int = 1
    """Of this request among the rate limits."""
    loaders: Loaders = field(init=False)
    engine_calls: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(ENGINE_CALLS_AT_ONCE)
    )

    def __post_init__(self) -> None:
        self.forget()

    def charge(self, requests: int) -> None:
        """Count as so many more requests among the rate limits."""
        self.cost += requests
        if self.rate is not None:
            self.rate.charge(requests)

    def forget(self) -> None:
        """Drop what was read: after a mutation it may no longer be so."""
        self.loaders = Loaders(self.container.database, self.actor)

    @cached_property
    def shown_values(self) -> ShownValues:
        """Whom to tell before the value of a variable is shown."""
        return ShownValues(self.container.database, self.require_actor())

    @cached_property
    def spelled(self) -> Mapping[str, str]:
        """Settings of the platform that texts are spelled with."""
        return spelled_with(self.container)

    def require_actor(self) -> Actor:
        if self.actor is None:
            raise Unauthenticated(
                "This needs a token.",
                hint="Send the header 'Authorization: Bearer paas_…'; `paas admin token create` makes one.",
            )
        return self.actor

    async def allows(self, scope: Scope, permission: Permission) -> bool:
        """``app.access.permissions.allows``, batched over the objects of a request."""
        actor = self.require_actor()
        if actor.is_admin:
            return True
        return judge(actor, scope, permission, await self._standing(scope)) is None

    async def require(self, scope: Scope, permission: Permission) -> None:
        """``app.access.permissions.require``, batched: of an object that the viewer sees."""
        actor = self.require_actor()
        if not actor.is_admin:
            standing = replace(await self._standing(scope), in_some_project=True)
            refuse_unless(actor, scope, permission, standing)

    async def role_in(self, scope: Scope) -> models.Role | None:
        """The viewer's own; None without one, also for an operator."""
        return (await self._standing(scope)).role_at(scope)

    async def _standing(self, scope: Scope) -> Standing:
        """``app.access.permissions.standing_of``, batched."""
        user_id = self.require_actor().user_id
        if user_id is None:
            return Standing()
        find = self.loaders.find
        organization, project, environment = await asyncio.gather(
            find(models.Membership, organization_id=scope.organization_id, user_id=user_id),
            find(models.ProjectMembership, project_id=scope.project_id, user_id=user_id),
            find(models.Environment, id=scope.environment_id),
        )
        return Standing(
            organization_role=None if organization is None else organization.role,
            project_role=None if project is None else project.role,
            protected_for=None if environment is None else roles_of(environment.protected_for),
        )

    async def scope_of_instance(self, app_id: str, environment_id: str) -> Scope:
        app = await self.loaders.by_id(models.App, app_id)
        project = await self.loaders.by_id(models.Project, app.project_id)
        return Scope(project.organization_id, project.id, environment_id, app_id)

    async def shown(self, row: type[models.Base], identifier: str) -> Any:
        """The row of this id as its GraphQL type. Raises NotFound when it was deleted meanwhile."""
        return shown(await self.loaders.by_id(row, identifier, seen=True))

    async def shown_or_none(self, row: type[models.Base], **values: Hashable) -> Any:
        """The row whose columns have these values, unique together, as its GraphQL type."""
        if any(value is None for value in values.values()):
            return None
        found = await self.loaders.find(row, seen=True, **values)
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
