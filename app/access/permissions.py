"""What may be done in an organization, and which roles may do it."""

from __future__ import annotations

import enum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.errors import Forbidden, NotFound
from app.models import Membership, Role


class Permission(enum.StrEnum):
    READ = "read"
    """See every object, log and setting, but no variable's value."""
    CODE_READ = "code:read"
    CODE_PUSH = "code:push"
    DEPLOY = "deploy"
    """Create, cancel, roll back and promote deployments."""
    ENV_VARS_READ = "env-vars:read"
    """See the values."""
    ENV_VARS_WRITE = "env-vars:write"
    SCALE = "scale"
    APP_WRITE = "app:write"
    APP_DELETE = "app:delete"
    ENVIRONMENT_WRITE = "environment:write"
    ENVIRONMENT_DELETE = "environment:delete"
    PROJECT_WRITE = "project:write"
    PROJECT_DELETE = "project:delete"
    """Also to restore it."""
    ORGANIZATION_WRITE = "organization:write"
    ORGANIZATION_DELETE = "organization:delete"
    MEMBERS_WRITE = "members:write"


_VIEWER = frozenset({Permission.READ, Permission.CODE_READ})
_DEVELOPER = _VIEWER | {
    Permission.CODE_PUSH,
    Permission.DEPLOY,
    Permission.ENV_VARS_READ,
    Permission.ENV_VARS_WRITE,
    Permission.SCALE,
    Permission.APP_WRITE,
    Permission.ENVIRONMENT_WRITE,
}
_OWNER = frozenset(Permission)
_ADMIN = _OWNER - {Permission.ORGANIZATION_DELETE}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: frozenset(_DEVELOPER),
    Role.ADMIN: frozenset(_ADMIN),
    Role.OWNER: _OWNER,
}


async def role_in(session: AsyncSession, actor: Actor, organization_id: str) -> Role | None:
    """The actor's own role; None for a non-member, also for a platform operator."""
    if actor.user_id is None:
        return None
    statement = select(Membership.role).where(
        Membership.organization_id == organization_id, Membership.user_id == actor.user_id
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def allows(
    session: AsyncSession, actor: Actor, organization_id: str, permission: Permission
) -> bool:
    if actor.is_admin:
        return True
    role = await role_in(session, actor, organization_id)
    return role is not None and permission in PERMISSIONS[role]


async def require(
    session: AsyncSession, actor: Actor, organization_id: str, permission: Permission
) -> None:
    """Raises NotFound to a non-member, as for a missing object; Forbidden to a member whose role lacks it."""
    if actor.is_admin:
        return
    role = await role_in(session, actor, organization_id)
    if role is None:
        raise NotFound("There is no such organization.", hint="Check the name, and who you are.")
    if permission not in PERMISSIONS[role]:
        able = ", ".join(other for other in Role if permission in PERMISSIONS[other])
        raise Forbidden(
            f"Your role in this organization is {role.value}, which may not do this ({permission.value}).",
            hint=f"Ask for one of the roles: {able}.",
        )


def require_operator(actor: Actor, what: str) -> None:
    """Raises Forbidden unless the actor operates the platform. ``what`` completes "may …"."""
    if not actor.is_admin:
        raise Forbidden(
            f"Only an operator of the platform may {what}.",
            hint="Ask whoever runs the platform.",
        )
