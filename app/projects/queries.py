"""Every SELECT of projects, and of what is waiting to be torn down in them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import require_live
from app.access.visible import narrowing
from app.db import WriteSession
from app.errors import NotFound
from app.models import App, Environment, Instance, Organization, Project


async def list_of(
    session: AsyncSession,
    actor: Actor,
    organization: Organization,
    *,
    include_deleted: bool = False,
) -> Sequence[Project]:
    """By slug; those that the actor may know of."""
    statement = (
        select(Project)
        .where(Project.organization_id == organization.id, *narrowing(actor, Project))
        .order_by(Project.slug)
    )
    if not include_deleted:
        statement = statement.where(Project.deleted_at.is_(None))
    return (await session.scalars(statement)).all()


async def lock(session: WriteSession, project_id: str) -> Project:
    """The project as it is now, which no other transaction changes before this one ends.

    Whatever adds to a project takes this lock, so that an app and an environment created at once still
    meet as an instance. Rows that only refer to the project are not held up.
    """
    found = await session.get(
        Project, project_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if found is None:
        raise NotFound("The project was removed meanwhile.")
    return found


async def lock_live(session: WriteSession, project_id: str) -> Project:
    """``lock``; raises PreconditionFailed when the project is deleted."""
    project = await lock(session, project_id)
    require_live(project)
    return project


async def instance_ids(session: AsyncSession, project_id: str) -> Sequence[str]:
    statement = select(Instance.id).join(App).where(App.project_id == project_id)
    return (await session.scalars(statement.order_by(Instance.id))).all()


async def projects_to_purge(session: AsyncSession) -> Sequence[str]:
    """Ids of projects to remove for good: first their instances, then repositories, then the row."""
    statement = select(Project.id).where(Project.purge_requested_at.is_not(None))
    return (await session.scalars(statement.order_by(Project.id))).all()


async def apps_to_tear_down(session: AsyncSession) -> Sequence[str]:
    """Ids of deleted apps: the repository and the row go once no instance is left."""
    return (await session.scalars(select(App.id).where(App.deleted_at.is_not(None)))).all()


async def environments_to_tear_down(session: AsyncSession) -> Sequence[str]:
    """Ids of deleted environments: the row goes once no instance is left."""
    statement = select(Environment.id).where(Environment.deleted_at.is_not(None))
    return (await session.scalars(statement)).all()


async def instances_to_tear_down(session: AsyncSession) -> Sequence[str]:
    """Ids of instances whose app or environment is deleted, or whose project is being purged."""
    statement = (
        select(Instance.id)
        .join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .where(
            App.deleted_at.is_not(None)
            | Environment.deleted_at.is_not(None)
            | Project.purge_requested_at.is_not(None)
        )
    )
    return (await session.scalars(statement.order_by(Instance.id))).all()
