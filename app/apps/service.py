"""What can be done to apps. The repository is made by the first push or fetch, not here."""

from __future__ import annotations

from datetime import UTC, datetime

from app.access.actor import Actor
from app.access.find import place_of, scope_of
from app.access.permissions import Permission, require
from app.apps import queries
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession, flush_or
from app.environments import queries as environment_queries
from app.errors import Taken
from app.ids import new_id
from app.instances.pairs import create_pairs
from app.models import App, Project
from app.names import valid_container_port, valid_display_name, valid_slug
from app.projects import queries as project_queries
from app.quotas.service import growing

DEFAULT_PORT = 8080


async def create(
    session: WriteSession,
    actor: Actor,
    project: Project,
    *,
    slug: str,
    wildcard_base: str,
    display_name: str | None = None,
    container_port: int = DEFAULT_PORT,
) -> App:
    """With an instance in every environment of the project. Raises Taken for a slug or hostname in use."""
    await require(session, actor, scope_of(project), Permission.APP_WRITE)
    app = App(
        id=new_id("app"),
        project_id=project.id,
        slug=valid_slug(slug),
        display_name=valid_display_name(display_name, default=slug),
        container_port=valid_container_port(container_port),
    )
    project = await project_queries.lock_live(session, project.id)
    taken = Taken(
        f"{project.slug} already has an app {slug}.",
        field="slug",
        hint="Choose another slug. A deleted app keeps its own until it is stopped everywhere.",
    )
    async with growing(session, project.organization_id):
        session.add(app)
        await flush_or(session, {"uq_app_project_id_slug": taken})
        place = await place_of(session, app)
        environments = await environment_queries.live_in(session, project.id)
        pairs = [(app, environment) for environment in environments]
        await create_pairs(session, place.organization, project, pairs, wildcard_base=wildcard_base)
    await log.record(session, actor, Action.APP_CREATE, place, f"Created the app {slug}.")
    return app


async def update(
    session: WriteSession,
    actor: Actor,
    app: App,
    *,
    display_name: str | None = None,
    container_port: int | None = None,
) -> App:
    """Only what is given changes. A new port is taken up by the next release of each instance."""
    place = await place_of(session, app)
    await require(session, actor, place.scope, Permission.APP_WRITE)
    await project_queries.lock_live(session, place.project.id)
    app = await queries.current(session, app.id)
    if display_name is not None:
        app.display_name = valid_display_name(display_name, default=app.slug)
    if container_port is not None:
        app.container_port = valid_container_port(container_port)
    await session.flush()
    changed = f"Changed the app {app.slug}: port {app.container_port}, {app.display_name!r}."
    await log.record(session, actor, Action.APP_UPDATE, place, changed)
    return app


async def delete(session: WriteSession, actor: Actor, app: App) -> App:
    """Marks it; its instances' reconciler stops the jobs, then the repository and the rows go."""
    place = await place_of(session, app)
    await require(session, actor, place.scope, Permission.APP_DELETE)
    await project_queries.lock_live(session, place.project.id)
    app = await queries.current(session, app.id)
    app.deleted_at = datetime.now(UTC)
    await session.flush()
    for instance_id in await queries.instance_ids(session, app.id):
        await session.wake("instance", instance_id)
    for preview in await environment_queries.previews_of(session, app.project_id):
        await session.wake("preview", preview.id)
    await session.wake("teardown", app.id)
    await log.record(session, actor, Action.APP_DELETE, place, f"Deleted the app {app.slug}.")
    return app
