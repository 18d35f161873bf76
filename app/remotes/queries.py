"""Every SELECT of linked remotes and of what their hosts told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import WriteSession
from app.models import App, Project, Remote, RemotePush, RemotePushStatus


async def live(session: AsyncSession, app_id: str) -> tuple[Remote, App] | None:
    """The remote of an app that takes pushes."""
    statement = (
        select(Remote, App)
        .join(App, Remote.app_id == App.id)
        .join(Project, App.project_id == Project.id)
        .where(App.id == app_id, App.deleted_at.is_(None), Project.deleted_at.is_(None))
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else (row[0], row[1])


async def lock(session: WriteSession, app_id: str) -> Remote | None:
    return await session.get(
        Remote, app_id, with_for_update={"key_share": True}, populate_existing=True
    )


async def of_delivery(session: AsyncSession, app_id: str, delivery_id: str) -> RemotePush | None:
    statement = select(RemotePush).where(
        RemotePush.app_id == app_id, RemotePush.delivery_id == delivery_id
    )
    return (await session.scalars(statement)).one_or_none()


async def apps_with_work(session: AsyncSession) -> Sequence[str]:
    statement = (
        select(RemotePush.app_id)
        .where(
            RemotePush.status == RemotePushStatus.PENDING,
            RemotePush.next_attempt_at <= func.clock_timestamp(),
        )
        .distinct()
    )
    return (await session.scalars(statement)).all()


async def due(session: AsyncSession, app_id: str) -> Sequence[RemotePush]:
    """Oldest first."""
    statement = (
        select(RemotePush)
        .where(
            RemotePush.app_id == app_id,
            RemotePush.status == RemotePushStatus.PENDING,
            RemotePush.next_attempt_at <= func.clock_timestamp(),
        )
        .order_by(RemotePush.id)
        .limit(50)
    )
    return (await session.scalars(statement)).all()
