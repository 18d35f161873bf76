"""Every SELECT of tokens but the one that authenticates."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.models import ApiToken


async def list_own(session: AsyncSession, actor: Actor) -> Sequence[ApiToken]:
    """The actor's own tokens that are not revoked, newest first."""
    statement = (
        select(ApiToken)
        .where(ApiToken.user_id == actor.user_id, ApiToken.revoked_at.is_(None))
        .order_by(ApiToken.id.desc())
    )
    return (await session.scalars(statement)).all()
