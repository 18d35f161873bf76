"""Every SELECT of apps."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import scope_of
from app.access.permissions import Permission, require_somewhere
from app.access.visible import narrowing
from app.errors import NotFound
from app.models import App, Instance, Project


async def list_of(session: AsyncSession, actor: Actor, project: Project) -> Sequence[App]:
    """By slug."""
    await require_somewhere(session, actor, scope_of(project), Permission.READ)
    return await live_in(session, project.id, *narrowing(actor, App))


async def live_in(
    session: AsyncSession, project_id: str, *conditions: ColumnElement[bool]
) -> Sequence[App]:
    """Apps that are not being torn down, by slug."""
    statement = (
        select(App)
        .where(App.project_id == project_id, App.deleted_at.is_(None), *conditions)
        .order_by(App.slug)
    )
    return (await session.scalars(statement)).all()


async def current(session: AsyncSession, app_id: str) -> App:
    """As it is now, under its project's lock. Raises NotFound when it was deleted meanwhile."""
    found = await session.get(App, app_id, populate_existing=True)
    if found is None or found.deleted_at is not None:
        raise NotFound("The app was deleted meanwhile.")
    return found


async def instance_ids(session: AsyncSession, app_id: str) -> Sequence[str]:
    statement = select(Instance.id).where(Instance.app_id == app_id)
    return (await session.scalars(statement.order_by(Instance.id))).all()
