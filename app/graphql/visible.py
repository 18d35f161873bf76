"""Any object by its id, for whoever may see it.

An id says what kind it names, so that a list of ids costs one statement a kind. Each statement reaches up
to the organization and is narrowed by ``visible_to``: an object of another organization, one that is
being torn down and one that never was are all simply not there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app import ids
from app.access.actor import Actor
from app.access.permissions import PERMISSIONS, Permission
from app.access.visible import narrowing, visible_to
from app.models import (
    ApiToken,
    App,
    AuditEntry,
    Base,
    Build,
    Deployment,
    Environment,
    Instance,
    Invitation,
    Membership,
    Organization,
    Project,
    ProjectMembership,
    Push,
    Release,
    Role,
    User,
    UserIdentity,
    UserSession,
    Webhook,
    WebhookDelivery,
)
from app.names import is_id

Statement = Callable[[Actor], Select[Any]]


def _in_organization(row: type[Base], *joins: tuple[type[Base], Any]) -> Statement:
    """Rows of ``row`` that reach an organization of the actor's through ``joins``."""

    def statement(actor: Actor) -> Select[Any]:
        selected: Select[Any] = select(row)
        for target, on in joins:
            selected = selected.join(target, on)
        return visible_to(actor, selected, row, *(target for target, _ in joins))

    return statement


_TO_ORGANIZATION = (Organization, Project.organization_id == Organization.id)
_FROM_APP = ((Project, App.project_id == Project.id), _TO_ORGANIZATION)
_FROM_INSTANCE = (
    (App, (Instance.app_id == App.id) & App.deleted_at.is_(None)),
    (Environment, (Instance.environment_id == Environment.id) & Environment.deleted_at.is_(None)),
    *_FROM_APP,
)


def _memberships(actor: Actor) -> Select[Any]:
    return select(Membership).where(*narrowing(actor, Membership))


def _project_memberships(actor: Actor) -> Select[Any]:
    projects = select(Project.id).where(*narrowing(actor, Project))
    return select(ProjectMembership).where(
        ProjectMembership.project_id.in_(projects), *narrowing(actor, ProjectMembership)
    )


def _users(actor: Actor) -> Select[Any]:
    """The actor, and whoever shares an organization or a project with the actor."""
    own = User.id == actor.user_id
    if actor.is_admin:
        return select(User)
    if actor.grant is not None and actor.grant.scope is not None:
        return select(User).where(own)
    members = select(Membership.user_id).where(*narrowing(actor, Membership))
    projects = select(Project.id).where(*narrowing(actor, Project))
    beside = select(ProjectMembership.user_id).where(ProjectMembership.project_id.in_(projects))
    return select(User).where(own | User.id.in_(members) | User.id.in_(beside))


def _tokens(actor: Actor) -> Select[Any]:
    own = true() if actor.is_admin else ApiToken.user_id == actor.user_id
    return select(ApiToken).where(own, *narrowing(actor, ApiToken))


def _holders(permission: Permission) -> list[Role]:
    return [role for role in Role if permission in PERMISSIONS[role]]


def _managed(actor: Actor, permission: Permission) -> Select[Any]:
    """Ids of the organizations where the actor's role holds the permission; none for a token that was made
    for less than its user may do."""
    return select(Membership.organization_id).where(
        Membership.user_id == actor.user_id,
        or_(*(Membership.role == role for role in _holders(permission))),
        true() if actor.grant is None else false(),
    )


def _audit_entries(actor: Actor) -> Select[Any]:
    if actor.is_admin:
        return select(AuditEntry)
    readable = _managed(actor, Permission.AUDIT_READ)
    return select(AuditEntry).where(AuditEntry.organization_id.in_(readable))


def _webhooks(actor: Actor) -> Select[Any]:
    if actor.is_admin:
        return select(Webhook)
    return select(Webhook).where(
        Webhook.organization_id.in_(_managed(actor, Permission.WEBHOOKS_WRITE))
    )


def _deliveries(actor: Actor) -> Select[Any]:
    mine = _webhooks(actor).with_only_columns(Webhook.id)
    return select(WebhookDelivery).where(WebhookDelivery.webhook_id.in_(mine))


def _of_account(row: type[UserSession] | type[UserIdentity]) -> Statement:
    """The actor's own. A token that was made for less than its user may does not speak for the user."""

    def statement(actor: Actor) -> Select[Any]:
        own = false() if actor.grant is not None else row.user_id == actor.user_id
        return select(row).where(own)

    return statement


def _invitations(actor: Actor) -> Select[Any]:
    """For who may invite to the same place."""
    if actor.is_admin:
        return select(Invitation)
    if actor.grant is not None:
        return select(Invitation).where(false())
    organizations = _managed(actor, Permission.MEMBERS_WRITE)
    inviting = _holders(Permission.MEMBERS_WRITE)
    projects = select(ProjectMembership.project_id).where(
        ProjectMembership.user_id == actor.user_id, ProjectMembership.role.in_(inviting)
    )
    return select(Invitation).where(
        Invitation.organization_id.in_(organizations) | Invitation.project_id.in_(projects)
    )


_KINDS: dict[str, tuple[type[Base], Statement]] = {
    "aud": (AuditEntry, _audit_entries),
    "org": (Organization, _in_organization(Organization)),
    "prj": (Project, _in_organization(Project, _TO_ORGANIZATION)),
    "env": (
        Environment,
        _in_organization(
            Environment,
            (
                Project,
                (Environment.project_id == Project.id) & Environment.deleted_at.is_(None),
            ),
            _TO_ORGANIZATION,
        ),
    ),
    "app": (
        App,
        _in_organization(
            App,
            (Project, (App.project_id == Project.id) & App.deleted_at.is_(None)),
            _TO_ORGANIZATION,
        ),
    ),
    "ins": (Instance, _in_organization(Instance, *_FROM_INSTANCE)),
    "rel": (
        Release,
        _in_organization(Release, (Instance, Release.instance_id == Instance.id), *_FROM_INSTANCE),
    ),
    "dep": (
        Deployment,
        _in_organization(
            Deployment, (Instance, Deployment.instance_id == Instance.id), *_FROM_INSTANCE
        ),
    ),
    "bld": (
        Build,
        _in_organization(
            Build, (App, (Build.app_id == App.id) & App.deleted_at.is_(None)), *_FROM_APP
        ),
    ),
    "psh": (
        Push,
        _in_organization(
            Push, (App, (Push.app_id == App.id) & App.deleted_at.is_(None)), *_FROM_APP
        ),
    ),
    "mem": (Membership, _memberships),
    "pmb": (ProjectMembership, _project_memberships),
    "usr": (User, _users),
    "tok": (ApiToken, _tokens),
    "ses": (UserSession, _of_account(UserSession)),
    "idn": (UserIdentity, _of_account(UserIdentity)),
    "inv": (Invitation, _invitations),
    "whk": (Webhook, _webhooks),
    "whd": (WebhookDelivery, _deliveries),
}
"""By the prefix of the id."""


def prefix_of(identifier: str) -> str | None:
    """Of an id that may be looked for; else None."""
    prefix = ids.prefix_of(identifier) if is_id(identifier) else ""
    return prefix if prefix in _KINDS else None


def by_id(actor: Actor, prefix: str, identifier: ColumnElement[str]) -> Select[Any]:
    row, statement = _KINDS[prefix]
    return statement(actor).where(row.__table__.c.id == identifier)


async def by_ids(
    session: AsyncSession, actor: Actor, identifiers: Sequence[str]
) -> list[Base | None]:
    """In the order of ``identifiers``; None for each that the actor may not know of."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for identifier in identifiers:
        prefix = prefix_of(identifier)
        if prefix is not None:
            wanted[prefix].append(identifier)
    found: dict[str, Base] = {}
    for prefix, named in wanted.items():
        row, statement = _KINDS[prefix]
        column = row.__table__.c.id
        for each in await session.scalars(statement(actor).where(column.in_(named))):
            found[each.id] = each
    return [found.get(identifier) for identifier in identifiers]
