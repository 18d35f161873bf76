"""Every SELECT of environments."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.permissions import Permission, require
from app.errors import NotFound
from app.models import Environment, Instance, Project


async def list_of(session: AsyncSession, actor: Actor, project: Project) -> Sequence[Environment]:
    """The default first, then by slug."""
    await require(session, actor, project.organization_id, Permission.READ)
    return await live_in(session, project.id)


async def live_in(session: AsyncSession, project_id: str) -> Sequence[Environment]:
    """Environments that are not being torn down: the default first, then by slug."""
    statement = (
        select(Environment)
        .where(Environment.project_id == project_id, Environment.deleted_at.is_(None))
        .order_by(Environment.is_default.desc(), Environment.slug)
    )
    return (await session.scalars(statement)).all()


async def current(session: AsyncSession, environment_id: str) -> Environment:
    """As it is now, under its project's lock. Raises NotFound when it was deleted meanwhile."""
    found = await session.get(Environment, environment_id, populate_existing=True)
    if found is None or found.deleted_at is not None:
        raise NotFound("The environment was deleted meanwhile.")
    return found


async def instance_ids(session: AsyncSession, environment_id: str) -> Sequence[str]:
    statement = select(Instance.id).where(Instance.environment_id == environment_id)
    return (await session.scalars(statement.order_by(Instance.id))).all()
