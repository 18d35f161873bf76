"""A token for a person or machine that may not exist yet, as whoever has a shell on the machine asks."""

from __future__ import annotations

from app.access import members, users
from app.access.actor import OPERATOR
from app.db import WriteSession
from app.errors import NotFound
from app.models import Organization, Role
from app.tokens import service


async def issue(
    session: WriteSession,
    *,
    user_name: str,
    token_name: str,
    is_admin: bool,
    organization: Organization | None = None,
    role: Role = Role.DEVELOPER,
) -> str:
    """The secret, shown this once. The user is created when missing, and given ``role`` when an
    organization is named; an existing user's rights are otherwise left as they are."""
    try:
        user = await users.by_name(session, user_name)
    except NotFound:
        user = await users.create(session, OPERATOR, name=user_name, is_admin=is_admin)
    if organization is not None:
        await members.set_role(session, OPERATOR, organization, user, role)
    _, secret = await service.create(session, user, token_name)
    return secret
