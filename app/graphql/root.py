"""The ways into the graph that belong to no noun."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import find
from app.access.actor import Actor
from app.errors import LimitReached, NotFound
from app.graphql import visible
from app.graphql.context import Info
from app.graphql.node import Node, shown
from app.models import Base

MAX_NODES = 100


@strawberry.type(description="The platform that answers.")
class ServerInfo:
    version: str
    engine: str = strawberry.field(description="What runs the apps: `embedded` or `nomad`.")
    wildcard_base: str = strawberry.field(
        description="Hostnames are `{organization}.{project}-{app}-{environment}.` and this."
    )
    git_url_template: str


@strawberry.type
class RootQueries:
    @strawberry.field(description="Any object by its id; null when the viewer may not know of it.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        found = await _nodes(info, [id])
        return found[0]

    @strawberry.field(description=f"In the order of `ids`, of which there may be {MAX_NODES}.")
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        if len(ids) > MAX_NODES:
            raise LimitReached(f"At most {MAX_NODES} ids may be asked for.", field="ids")
        return await _nodes(info, ids)

    @strawberry.field(
        description="By path: `acme` (organization), `acme/storefront` (project), `acme/storefront/web`"
        " (app), `acme/storefront/web/production` (instance)."
    )
    async def resource(self, info: Info, path: str) -> Node | None:
        actor = info.context.require_actor()
        async with info.context.container.database.read_session() as session:
            try:
                row = await _by_path(session, actor, path.strip("/").split("/"))
            except NotFound:
                return None
        found: Node = shown(row)
        return found

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


async def _by_path(session: AsyncSession, actor: Actor, slugs: list[str]) -> Base:
    """Raises NotFound."""
    match len(slugs):
        case 1:
            return await find.organization(session, actor, slug=slugs[0])
        case 2:
            return await find.project(session, actor, slugs=slugs)
        case 3:
            return await find.app(session, actor, slugs=slugs)
        case 4:
            return await find.instance(session, actor, slugs=slugs)
        case _:
            raise NotFound("A path has one to four parts.")


def _version() -> str:
    try:
        return version("paas")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"
