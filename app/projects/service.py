"""What can be done to projects. Deleting is soft: ``restore`` brings everything back, ``purge`` ends it."""

from __future__ import annotations

from datetime import UTC, datetime

from app.access.actor import Actor
from app.access.find import Place, place_of, scope_of
from app.access.permissions import Permission, require, require_operator
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession, flush_or
from app.errors import NotFound, PreconditionFailed, Taken
from app.ids import new_id
from app.models import Environment, Organization, Project
from app.names import valid_display_name, valid_slug
from app.projects import queries
from app.quotas.service import growing

FIRST_ENVIRONMENT = "production"
FIRST_BRANCH = "main"


async def create(
    session: WriteSession,
    actor: Actor,
    organization: Organization,
    *,
    slug: str,
    display_name: str | None = None,
) -> Project:
    """With its first environment: ``production``, the default, deployed by pushes to ``main``."""
    await require(session, actor, scope_of(organization), Permission.PROJECT_WRITE)
    project = Project(
        id=new_id("prj"),
        organization_id=organization.id,
        slug=valid_slug(slug),
        display_name=valid_display_name(display_name, default=slug),
    )
    session.add(project)
    await _insert(session, organization, project)
    session.add(
        Environment(
            id=new_id("env"),
            project_id=project.id,
            slug=FIRST_ENVIRONMENT,
            display_name=FIRST_ENVIRONMENT.capitalize(),
            branch_pattern=FIRST_BRANCH,
            is_default=True,
        )
    )
    await session.flush()
    where = Place(organization, project)
    await log.record(session, actor, Action.PROJECT_CREATE, where, f"Created the project {slug}.")
    return project


async def _insert(session: WriteSession, organization: Organization, project: Project) -> None:
    taken = Taken(
        f"{organization.slug} already has a project {project.slug}.",
        field="slug",
        hint="Choose another slug. A deleted project keeps its own until it is purged.",
    )
    refusals = {
        "uq_project_organization_id_slug": taken,
        "fk_project_organization_id_organization": NotFound(
            "The organization was deleted meanwhile."
        ),
    }
    await flush_or(session, refusals)


async def update(
    session: WriteSession, actor: Actor, project: Project, *, display_name: str | None = None
) -> Project:
    """Only what is given changes; an empty name is the slug again."""
    await require(session, actor, scope_of(project), Permission.PROJECT_WRITE)
    project = await queries.lock_live(session, project.id)
    if display_name is not None:
        project.display_name = valid_display_name(display_name, default=project.slug)
    await session.flush()
    await _record(session, actor, Action.PROJECT_UPDATE, project, "Changed the name of")
    return project


async def delete(session: WriteSession, actor: Actor, project: Project) -> Project:
    """Its apps are stopped, and it takes no pushes or deploys; twice is fine."""
    await require(session, actor, scope_of(project), Permission.PROJECT_DELETE)
    project = await queries.lock(session, project.id)
    if project.deleted_at is None:
        project.deleted_at = datetime.now(UTC)
        await session.flush()
        await _wake_instances(session, project)
        await _record(session, actor, Action.PROJECT_DELETE, project, "Deleted")
    return project


async def restore(session: WriteSession, actor: Actor, project: Project) -> Project:
    """As it was: every instance's current release is started again. Twice is fine."""
    await require(session, actor, scope_of(project), Permission.PROJECT_DELETE)
    project = await queries.lock(session, project.id)
    if project.purge_requested_at is not None:
        raise PreconditionFailed(
            f"{project.slug} is being purged, and cannot be restored any more.",
            hint="Create it anew once it is gone.",
        )
    if project.deleted_at is not None:
        async with growing(session, project.organization_id):
            project.deleted_at = None
            await session.flush()
        await _wake_instances(session, project)
        await _record(session, actor, Action.PROJECT_RESTORE, project, "Restored")
    return project


async def purge(session: WriteSession, actor: Actor, project: Project) -> Project:
    """Remove a deleted project for good, with its jobs and repositories.

    Only marks it: the teardown reconciler removes what stands outside of the database, then the row.
    """
    require_operator(actor, "purge a project")
    project = await queries.lock(session, project.id)
    if project.deleted_at is None:
        raise PreconditionFailed(
            f"{project.slug} is in use; only a deleted project can be purged.",
            hint="Delete it first.",
        )
    if project.purge_requested_at is None:
        project.purge_requested_at = datetime.now(UTC)
        await session.flush()
        await _wake_instances(session, project)
        await _record(session, actor, Action.PROJECT_PURGE, project, "Purged")
    await session.wake("teardown", project.id)
    return project


async def _record(
    session: WriteSession, actor: Actor, action: Action, project: Project, did: str
) -> None:
    place = await place_of(session, project)
    await log.record(session, actor, action, place, f"{did} the project {project.slug}.")


async def _wake_instances(session: WriteSession, project: Project) -> None:
    for instance_id in await queries.instance_ids(session, project.id):
        await session.wake("instance", instance_id)
