"""Every SELECT of events. A cursor is an event's id, and 0 the beginning."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import WriteSession
from app.models import Event, EventKind


async def after(
    session: AsyncSession,
    cursor: int,
    *,
    instance_id: str | None = None,
    organization_id: str | None = None,
    kinds: Collection[EventKind] | None = None,
    limit: int = 100,
) -> Sequence[Event]:
    """The next ones in order. What is not there now will have a larger id than these when it comes."""
    statement = select(Event).where(Event.id > cursor).order_by(Event.id).limit(limit)
    if instance_id is not None:
        statement = statement.where(Event.instance_id == instance_id)
    if organization_id is not None:
        statement = statement.where(Event.organization_id == organization_id)
    if kinds is not None:
        statement = statement.where(Event.kind.in_(kinds))
    return (await session.scalars(statement)).all()


async def newest(session: AsyncSession) -> int:
    """The cursor of whoever wants only what comes from now on."""
    return await session.scalar(select(func.max(Event.id))) or 0


async def prune(session: WriteSession, before: datetime) -> None:
    await session.execute(delete(Event).where(Event.created_at < before))
