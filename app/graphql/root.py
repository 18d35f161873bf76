"""The ways into the graph that belong to no noun."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import strawberry
from sqlalchemy import Select

from app.access import find
from app.access.actor import Actor
from app.errors import LimitReached
from app.graphql import visible
from app.graphql.context import Info
from app.graphql.fields import entry
from app.graphql.node import Node, shown
from app.graphql.sources import Argument
from app.names import is_slug

MAX_NODES = 100
_DEEPEST = 4
"""Organization, project, app, environment."""


@strawberry.type(description="The platform that answers.")
class ServerInfo:
    version: str
    engine: str = strawberry.field(description="What runs the apps: `embedded` or `nomad`.")
    wildcard_base: str = strawberry.field(
        description="Hostnames are `{organization}.{project}-{app}-{environment}.` and this."
    )
    git_url_template: str


def _by_id(actor: Actor, id: Argument) -> Select[Any] | None:
    prefix = id.decide(visible.prefix_of)
    return None if prefix is None else visible.by_id(actor, prefix, id.bind())


def _by_path(actor: Actor, path: Argument) -> Select[Any] | None:
    depth = path.decide(lambda text: _depth(_parts(text)))
    slugs = [path.bind(_part(place)) for place in range(depth)]
    return find.named(actor, slugs) if slugs else None


def _part(place: int) -> Callable[[str], str]:
    return lambda path: _parts(path)[place]


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/")


def _depth(parts: list[str]) -> int:
    """0 for what cannot be a path."""
    return len(parts) if len(parts) <= _DEEPEST and all(map(is_slug, parts)) else 0


@strawberry.type(description="How much the sender may still ask.")
class RateLimit:
    limit: int = strawberry.field(description="Of one window of time.")
    cost: int = strawberry.field(description="Of this request.")
    remaining: int
    reset_at: datetime = strawberry.field(
        description="When the window ends, and counting starts anew."
    )


@strawberry.type
class RootQueries:
    @strawberry.field(
        description="Of the token or session that this came with, or else of the address; null: no limit."
    )
    def rate_limit(self, info: Info) -> RateLimit | None:
        standing = info.context.rate
        rate = None if standing is None else standing.rate
        if rate is None:
            return None
        reset_at = datetime.fromtimestamp(rate.resets_at, UTC)
        return RateLimit(
            limit=rate.limit, cost=info.context.cost, remaining=rate.remaining, reset_at=reset_at
        )

    node: Node | None = entry(
        _by_id,
        id=strawberry.ID,
        description="Any object by its id; null when the viewer may not know of it.",
    )

    @strawberry.field(description=f"In the order of `ids`, of which there may be {MAX_NODES}.")
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        if len(ids) > MAX_NODES:
            raise LimitReached(f"At most {MAX_NODES} ids may be asked for.", field="ids")
        return await _nodes(info, ids)

    resource: Node | None = entry(
        _by_path,
        path=str,
        description="By path: `acme` (organization), `acme/storefront` (project), `acme/storefront/web`"
        " (app), `acme/storefront/web/production` (instance).",
    )

    @strawberry.field
    def server_info(self, info: Info) -> ServerInfo:
        info.context.require_actor()
        container = info.context.container
        return ServerInfo(
            version=_version(),
            engine=container.engine,
            wildcard_base=container.settings.wildcard_base,
            git_url_template=f"{container.settings.external_url}/git/{{organization}}/{{project}}/{{app}}.git",
        )


async def _nodes(info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
    actor = info.context.require_actor()
    async with info.context.container.database.read_session() as session:
        rows = await visible.by_ids(session, actor, ids)
    return [None if row is None else shown(row) for row in rows]


def _version() -> str:
    try:
        return version("paas")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"
