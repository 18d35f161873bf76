"""A token for a person or machine that may not exist yet, as whoever has a shell on the machine asks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.access import members, project_members, users
from app.access.actor import OPERATOR
from app.access.find import Place
from app.access.permissions import Permission
from app.db import WriteSession
from app.errors import NotFound
from app.models import Organization, Role
from app.tokens import service


@dataclass(frozen=True)
class Limits:
    """What the token is made for; without any, for all that its user may."""

    permissions: Collection[Permission] | None = None
    place: Place | None = None
    lifetime: timedelta | None = None


async def issue(
    session: WriteSession,
    *,
    user_name: str,
    token_name: str,
    is_admin: bool,
    organization: Organization | None = None,
    role: Role = Role.DEVELOPER,
    limits: Limits | None = None,
) -> str:
    """The secret, shown this once. The user is created when missing, and given ``role``: in the organization
    that is named, or only in the project of a token that is for a part of it. An existing user's rights are
    otherwise left as they are."""
    try:
        user = await users.by_name(session, user_name)
    except NotFound:
        user = await users.create(session, OPERATOR, name=user_name, is_admin=is_admin)
    limits = limits or Limits()
    if limits.place is not None:
        await project_members.set_role(session, OPERATOR, limits.place.project, user, role)
    elif organization is not None:
        await members.set_role(session, OPERATOR, organization, user, role)
    expires_at = None if limits.lifetime is None else datetime.now(UTC) + limits.lifetime
    _, secret = await service.create(
        session, user, token_name, expires_at, permissions=limits.permissions, place=limits.place
    )
    return secret
