"""Who belongs to an organization, and as what. It always keeps an owner.

Changes of members take the organization's lock, so that two owners cannot each remove the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.permissions import Permission, require, role_in
from app.access.scope import Scope
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession
from app.errors import Forbidden, NotFound, PreconditionFailed
from app.ids import new_id
from app.models import Membership, Organization, Role, User
from app.organizations.queries import lock


async def list_of(
    session: AsyncSession, actor: Actor, organization: Organization
) -> Sequence[tuple[Membership, User]]:
    await require(session, actor, Scope(organization.id), Permission.READ)
    statement = (
        select(Membership, User)
        .join(User, Membership.user_id == User.id)
        .where(Membership.organization_id == organization.id)
        .order_by(User.name)
    )
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]


async def set_role(
    session: WriteSession, actor: Actor, organization: Organization, user: User, role: Role
) -> Membership:
    """Add the member, or change the role. Only owners make owners, or change one."""
    await require(session, actor, Scope(organization.id), Permission.MEMBERS_WRITE)
    await lock(session, organization.id)
    current = await _membership(session, organization, user)
    if role is Role.OWNER or (current is not None and current.role is Role.OWNER):
        await _require_owner(session, actor, organization)
    if current is not None and current.role is Role.OWNER and role is not Role.OWNER:
        await _keep_an_owner(session, organization)
    statement = (
        insert(Membership)
        .values(id=new_id("mem"), organization_id=organization.id, user_id=user.id, role=role)
        .on_conflict_do_update(
            index_elements=[Membership.organization_id, Membership.user_id], set_={"role": role}
        )
        .returning(Membership)
    )
    result = await session.scalars(statement, execution_options={"populate_existing": True})
    membership = result.one()
    made = f"Made {user.name} {role.value} of {organization.slug}."
    await log.record(session, actor, Action.MEMBER_SET, organization, made, subject=user.id)
    return membership


async def remove(
    session: WriteSession, actor: Actor, organization: Organization, user: User
) -> None:
    """Anybody may leave; removing another needs the permission. Raises NotFound for a non-member."""
    leaving = actor.user_id == user.id
    freely = leaving and actor.grant is None
    needed = Permission.READ if freely else Permission.MEMBERS_WRITE
    await require(session, actor, Scope(organization.id), needed)
    await lock(session, organization.id)
    current = await _membership(session, organization, user)
    if current is None:
        raise NotFound(f"{user.name} is not a member of {organization.slug}.", field="user")
    if current.role is Role.OWNER:
        await _require_owner(session, actor, organization)
        await _keep_an_owner(session, organization)
    await session.delete(current)
    await session.flush()
    removed = f"Removed {user.name}, who was {current.role.value}, from {organization.slug}."
    await log.record(session, actor, Action.MEMBER_REMOVE, organization, removed, subject=user.id)


async def _membership(
    session: AsyncSession, organization: Organization, user: User
) -> Membership | None:
    return await session.scalar(
        select(Membership).where(
            Membership.organization_id == organization.id, Membership.user_id == user.id
        )
    )


async def _require_owner(session: AsyncSession, actor: Actor, organization: Organization) -> None:
    if actor.is_admin or await role_in(session, actor, Scope(organization.id)) is Role.OWNER:
        return
    raise Forbidden("Only an owner may make or change owners.", hint="Ask an owner.")


async def _keep_an_owner(session: AsyncSession, organization: Organization) -> None:
    owners = await session.scalar(
        select(func.count())
        .select_from(Membership)
        .where(Membership.organization_id == organization.id, Membership.role == Role.OWNER)
    )
    if owners is not None and owners <= 1:
        raise PreconditionFailed(
            f"{organization.slug} would be left without an owner.",
            hint="Make somebody else an owner first.",
        )
