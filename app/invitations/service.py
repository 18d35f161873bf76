"""Invitations: a role in an organization, or in one project of it, for whoever holds the link.

The link is a bearer secret, shown once to whoever invites, and sent by mail where a mail server is set. It
is not bound to the address that it was made for: people have several, and a mailbox proves nothing that
holding the link does not. Whoever invites gives away at most what he could give to a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.permissions import PERMISSIONS, Permission, require, role_in
from app.access.scope import Scope
from app.access.secrets import hash_of, new_secret
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession
from app.errors import Forbidden, LimitReached, NotFound, PreconditionFailed
from app.ids import new_id
from app.models import Invitation, Membership, Organization, Project, ProjectMembership, Role, User
from app.names import is_id
from app.organizations.queries import lock
from app.sessions.service import require_whole
from app.settings import Settings
from app.users.emails import valid_email

PREFIX = "paasi_"
MAX_OPEN = 500
"""Of one organization at once."""


@dataclass(frozen=True)
class Offer:
    """What an invitation offers, to show to whoever holds its link."""

    invitation: Invitation
    organization: Organization
    project: Project | None
    invited_by: str | None


async def invite(
    session: WriteSession,
    settings: Settings,
    actor: Actor,
    organization: Organization,
    *,
    email: str,
    role: Role,
    project: Project | None = None,
) -> tuple[Invitation, str]:
    """An invitation, and the secret of its link. An earlier open one for the same address and place ends."""
    scope = Scope(organization.id, None if project is None else project.id)
    await _require_may_give(session, actor, scope, role)
    address = valid_email(email)
    await lock(session, organization.id)
    if project is not None:
        project_must_be_there(project)
    open_ones = await list_open(session, organization.id)
    if len(open_ones) >= MAX_OPEN:
        raise LimitReached(
            f"There are {MAX_OPEN} open invitations to {organization.slug}.",
            hint="Revoke some that nobody needs any more.",
        )
    now = datetime.now(UTC)
    for earlier in open_ones:
        if (earlier.email, earlier.project_id) == (address, scope.project_id):
            earlier.revoked_at = now
    secret = new_secret(PREFIX)
    row = Invitation(
        id=new_id("inv"),
        organization_id=organization.id,
        project_id=scope.project_id,
        email=address,
        role=role,
        secret_hash=hash_of(secret),
        invited_by_user_id=actor.user_id,
        expires_at=now + timedelta(hours=settings.invitation_hours),
    )
    session.add(row)
    summary = f"Invited {address} as {role.value}{_in(project)}."
    await log.record(
        session, actor, Action.INVITATION_CREATE, organization, summary, subject=row.id
    )
    await session.flush()
    return row, secret


async def _require_may_give(session: AsyncSession, actor: Actor, scope: Scope, role: Role) -> None:
    await require(session, actor, scope, Permission.MEMBERS_WRITE)
    if role is not Role.OWNER or actor.has_every_role:
        return
    if await role_in(session, actor, scope) is not Role.OWNER:
        raise Forbidden("Only an owner may invite an owner.", hint="Ask an owner.")


def project_must_be_there(project: Project) -> None:
    if project.deleted_at is not None:
        raise PreconditionFailed(
            f"The project {project.slug} is deleted.", hint="Restore it first."
        )


def _in(project: Project | None) -> str:
    return "" if project is None else f" in the project {project.slug}"


async def revoke(
    session: WriteSession,
    actor: Actor,
    invitation_id: str,
    *,
    of: Organization | None = None,
) -> Invitation:
    """Its link is worth nothing any more. Raises PreconditionFailed for one that was accepted.

    ``of``: one of this organization alone is found, and who may not revoke there is told so.
    """
    row = await session.get(Invitation, invitation_id) if is_id(invitation_id) else None
    missing = NotFound("There is no such invitation.")
    if row is None or (of is not None and row.organization_id != of.id):
        if of is not None:
            await require(session, actor, Scope(of.id), Permission.MEMBERS_WRITE)
        raise missing
    scope = Scope(row.organization_id, row.project_id)
    try:
        await require(session, actor, scope, Permission.MEMBERS_WRITE)
    except NotFound as hidden:
        raise missing from hidden
    organization = await lock(session, row.organization_id)
    await session.refresh(row)
    if row.accepted_at is not None:
        raise PreconditionFailed(
            "This invitation was accepted already.", hint="Remove the member instead."
        )
    if row.revoked_at is None:
        row.revoked_at = datetime.now(UTC)
        await log.record(
            session,
            actor,
            Action.INVITATION_REVOKE,
            organization,
            f"Revoked the invitation of {row.email}.",
            subject=row.id,
        )
        await session.flush()
    return row


async def list_open(session: AsyncSession, organization_id: str) -> Sequence[Invitation]:
    """Also those to one project; the newest first. Asks for no permission."""
    statement = (
        select(Invitation)
        .where(
            Invitation.organization_id == organization_id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > datetime.now(UTC),
        )
        .order_by(Invitation.id.desc())
    )
    return (await session.scalars(statement)).all()


async def list_of(
    session: AsyncSession, actor: Actor, organization: Organization
) -> Sequence[Invitation]:
    """Whoever may invite to the organization sees who is invited."""
    await require(session, actor, Scope(organization.id), Permission.MEMBERS_WRITE)
    return await list_open(session, organization.id)


async def offer_of(session: AsyncSession, secret: str) -> Offer:
    """Raises NotFound alike for a link that is unknown, used, revoked or expired."""
    statement = (
        select(Invitation, Organization, Project, User.name)
        .join(Organization, Invitation.organization_id == Organization.id)
        .outerjoin(Project, Invitation.project_id == Project.id)
        .outerjoin(User, Invitation.invited_by_user_id == User.id)
        .where(
            Invitation.secret_hash == hash_of(secret),
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > datetime.now(UTC),
        )
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None or (row[2] is not None and row[2].deleted_at is not None):
        raise _no_good()
    return Offer(*row)


def _no_good() -> NotFound:
    return NotFound(
        "This invitation is not known, was used or revoked, or has expired.",
        field="invitation",
        hint="Ask whoever invited you for a new one.",
    )


async def locked_offer(session: WriteSession, secret: str) -> Offer:
    """``offer_of``, which nobody else can use up before this transaction ends."""
    offer = await offer_of(session, secret)
    await lock(session, offer.organization.id)
    await session.refresh(offer.invitation)
    return await offer_of(session, secret)


async def accept(session: WriteSession, actor: Actor, user: User, secret: str) -> Offer:
    """``user`` gets the role, unless it has a stronger one there. The link ends; of two at once one wins."""
    require_whole(actor)
    offer = await locked_offer(session, secret)
    invitation = offer.invitation
    await session.execute(
        update(Invitation)
        .where(Invitation.id == invitation.id)
        .values(accepted_at=datetime.now(UTC), accepted_by_user_id=user.id)
    )
    await _require_inviter(session, invitation)
    await _join(session, user, invitation)
    summary = f"{user.name} accepted to be {invitation.role.value}{_in(offer.project)}."
    await log.record(
        session,
        actor,
        Action.INVITATION_ACCEPT,
        offer.organization,
        summary,
        subject=invitation.id,
    )
    return offer


async def _require_inviter(session: WriteSession, invitation: Invitation) -> None:
    """Whoever lost the right to invite has left no way back in. None invited: an operator's shell did."""
    if invitation.invited_by_user_id is None:
        return
    inviter = await session.get_one(User, invitation.invited_by_user_id)
    actor = Actor(user_id=inviter.id, name=inviter.name, is_admin=inviter.is_admin)
    scope = Scope(invitation.organization_id, invitation.project_id)
    standing = await role_in(session, actor, scope)
    able = standing is not None and Permission.MEMBERS_WRITE in PERMISSIONS[standing]
    if not actor.is_admin and (
        not able or (invitation.role is Role.OWNER and standing is not Role.OWNER)
    ):
        raise _no_good()


async def _join(session: WriteSession, user: User, invitation: Invitation) -> None:
    """Raises a role, and never lowers one."""
    present: Membership | ProjectMembership | None
    if invitation.project_id is None:
        present = await session.scalar(
            select(Membership).filter_by(
                organization_id=invitation.organization_id, user_id=user.id
            )
        )
    else:
        present = await session.scalar(
            select(ProjectMembership).filter_by(project_id=invitation.project_id, user_id=user.id)
        )
    if present is None:
        session.add(_membership(user, invitation))
    elif PERMISSIONS[invitation.role] > PERMISSIONS[present.role]:
        present.role = invitation.role
    await session.flush()


def _membership(user: User, invitation: Invitation) -> Membership | ProjectMembership:
    role, user_id = invitation.role, user.id
    if invitation.project_id is None:
        return Membership(
            id=new_id("mem"), organization_id=invitation.organization_id, user_id=user_id, role=role
        )
    return ProjectMembership(
        id=new_id("pmb"), project_id=invitation.project_id, user_id=user_id, role=role
    )
