"""What may be done, which roles may do it, and the one question that every verb asks: ``require``.

An actor may do what its role at the scope holds: the role in the organization, or that in the project if
it is the stronger one. Two things take away from that: a protected environment keeps the permissions of
``GUARDED`` for the roles that it names, and a token's grant keeps to its permissions and its scope.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.scope import Scope
from app.db import WriteSession
from app.errors import Forbidden, NotFound
from app.models import Environment, Membership, Project, ProjectMembership, Role


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
    ENVIRONMENT_PROTECT = "environment:protect"
    """Say which roles an environment is kept for."""
    PROJECT_WRITE = "project:write"
    PROJECT_DELETE = "project:delete"
    """Also to restore it."""
    ORGANIZATION_WRITE = "organization:write"
    ORGANIZATION_DELETE = "organization:delete"
    MEMBERS_WRITE = "members:write"
    """Of the organization, or of a project."""
    WEBHOOKS_WRITE = "webhooks:write"
    """See and change where events are sent: a URL is often a secret, too."""
    AUDIT_READ = "audit:read"


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

GUARDED = frozenset(
    {
        Permission.CODE_PUSH,
        Permission.DEPLOY,
        Permission.ENV_VARS_READ,
        Permission.ENV_VARS_WRITE,
        Permission.SCALE,
        Permission.ENVIRONMENT_WRITE,
        Permission.ENVIRONMENT_DELETE,
        Permission.ENVIRONMENT_PROTECT,
    }
)
"""What a protected environment keeps for the roles that it names, and for owners."""

_LADDER = (Role.VIEWER, Role.DEVELOPER, Role.ADMIN, Role.OWNER)


def _strength(role: Role) -> int:
    return _LADDER.index(role)


@dataclass(frozen=True)
class Standing:
    """All that decides what an actor may do at a scope, besides the actor's own grant."""

    organization_role: Role | None = None
    project_role: Role | None = None
    """In the scope's project."""
    in_some_project: bool = False
    """Holds a role in any project of the organization, and so may know its name."""
    protected_for: frozenset[Role] | None = None
    """The roles that the scope's environment is kept for; None: it is not protected."""

    def role_at(self, scope: Scope) -> Role | None:
        """The stronger of the two: a project's role raises, and never takes away."""
        roles = [self.organization_role, self.project_role if scope.project_id else None]
        return max((role for role in roles if role is not None), key=_strength, default=None)

    @property
    def knows(self) -> bool:
        return bool(self.organization_role or self.project_role or self.in_some_project)


def judge(actor: Actor, scope: Scope, permission: Permission, standing: Standing) -> str | None:
    """Why the actor may not; None when it may. Pure: everything that was looked up is in ``standing``."""
    grant = actor.grant
    if grant is not None:
        if permission is not Permission.READ and not grant.permits(permission):
            return f"This token was not made for this ({permission.value})."
        if grant.scope is not None and not grant.scope.covers(scope):
            return f"This is outside of what this token was made for ({permission.value})."
    if actor.has_every_role:
        return None
    role = standing.role_at(scope)
    if role is None:
        return "You have no role here but in single projects."
    if permission not in PERMISSIONS[role]:
        return f"Your role here is {role.value}, which may not do this ({permission.value})."
    kept_for = standing.protected_for
    if kept_for is not None and permission in GUARDED and role not in kept_for | {Role.OWNER}:
        return (
            f"This environment is protected, and your role here is {role.value}, which may not do this"
            f" in it ({permission.value})."
        )
    return None


async def standing_of(session: AsyncSession, actor: Actor, scope: Scope) -> Standing:
    """In one statement."""
    if actor.has_every_role:
        return Standing()
    member = Membership.user_id == actor.user_id
    here = ProjectMembership.user_id == actor.user_id
    in_organization = Project.organization_id == scope.organization_id
    statement = select(
        select(Membership.role)
        .where(member, Membership.organization_id == scope.organization_id)
        .scalar_subquery(),
        select(ProjectMembership.role)
        .join(Project, ProjectMembership.project_id == Project.id)
        .where(here, in_organization, Project.id == scope.project_id)
        .scalar_subquery(),
        select(ProjectMembership.id)
        .join(Project, ProjectMembership.project_id == Project.id)
        .where(here, in_organization)
        .exists(),
        select(Environment.protected_for)
        .where(Environment.id == scope.environment_id)
        .scalar_subquery(),
    )
    organization, project, some, kept_for = (await session.execute(statement)).one()
    return Standing(organization, project, some, roles_of(kept_for))


def roles_of(names: Sequence[str] | None) -> frozenset[Role] | None:
    """A column of an environment, as roles."""
    return None if names is None else frozenset(Role(name) for name in names)


async def role_in(session: AsyncSession, actor: Actor, scope: Scope) -> Role | None:
    """The actor's own role; None without one, also for a platform operator."""
    if actor.user_id is None or actor.has_every_role:
        member = Membership.user_id == actor.user_id
        here = Membership.organization_id == scope.organization_id
        return await session.scalar(select(Membership.role).where(member, here))
    return (await standing_of(session, actor, scope)).role_at(scope)


async def allows(session: AsyncSession, actor: Actor, scope: Scope, permission: Permission) -> bool:
    if actor.is_admin:
        return True
    standing = await standing_of(session, actor, scope)
    return judge(actor, scope, permission, standing) is None


async def require(
    session: AsyncSession, actor: Actor, scope: Scope, permission: Permission
) -> None:
    """Raises NotFound to who may not know of the place, as for a missing object; else Forbidden."""
    if isinstance(session, WriteSession):
        session.act_for(actor)
    if actor.is_admin:
        return
    refuse_unless(actor, scope, permission, await standing_of(session, actor, scope))


def refuse_unless(actor: Actor, scope: Scope, permission: Permission, standing: Standing) -> None:
    """``require``, of what was looked up already."""
    grant = actor.grant
    hidden = grant is not None and grant.scope is not None and not grant.scope.meets(scope)
    if hidden or not (actor.has_every_role or standing.knows):
        raise NotFound("There is no such organization.", hint="Check the name, and who you are.")
    problem = judge(actor, scope, permission, standing)
    if problem is not None:
        raise Forbidden(problem, hint=_who_may(actor, permission, standing))


def _who_may(actor: Actor, permission: Permission, standing: Standing) -> str:
    grant = actor.grant
    if grant is not None and (grant.scope is not None or not grant.permits(permission)):
        return "Use a token that was made for it, or sign in."
    kept_for = standing.protected_for if permission in GUARDED else None
    able = [
        role
        for role in Role
        if permission in PERMISSIONS[role] and (kept_for is None or role in kept_for | {Role.OWNER})
    ]
    return f"Ask for one of the roles: {', '.join(able)}."


async def require_somewhere(
    session: AsyncSession, actor: Actor, scope: Scope, permission: Permission
) -> None:
    """As ``require``, but a token that was made for a part of the scope may as well.

    For a door behind which each deed is asked for by itself: a git push, before its refs are known.
    """
    grant = actor.grant
    if grant is not None and grant.scope is not None and grant.scope.meets(scope):
        actor = replace(actor, grant=replace(grant, scope=None))
    await require(session, actor, scope, permission)


def require_operator(actor: Actor, what: str) -> None:
    """Raises Forbidden unless the actor operates the platform. ``what`` completes "may …"."""
    if not actor.is_admin:
        raise Forbidden(
            f"Only an operator of the platform may {what}.",
            hint="Ask whoever runs the platform.",
        )


def require_unlimited(actor: Actor, what: str) -> None:
    """For what belongs to a person and to no place: other tokens, a password, a new organization.

    Raises Forbidden for a token that was made for less than its user may. ``what`` completes "may not …".
    """
    if actor.grant is not None:
        raise Forbidden(
            f"This token was made for less than all you may, and may not {what}.",
            hint="Sign in, or use a token without limits.",
        )
