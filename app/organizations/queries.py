"""Every SELECT that lists organizations."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.visible import visible_to
from app.db import WriteSession
from app.errors import NotFound
from app.models import Organization


async def list_visible(session: AsyncSession, actor: Actor) -> Sequence[Organization]:
    """The actor's organizations, by slug; an operator sees all."""
    statement = visible_to(actor, select(Organization), Organization).order_by(Organization.slug)
    return (await session.scalars(statement)).all()


async def lock(session: WriteSession, organization_id: str) -> Organization:
    """The organization as it is now, which no other transaction changes before this one ends."""
    found = await session.get(
        Organization, organization_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if found is None:
        raise NotFound("The organization was deleted meanwhile.")
    return found
