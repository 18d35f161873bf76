"""Roles in single projects: each raises its holder's role in the organization, or stands alone.

A project needs no owner of its own: the organization has one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import place_of, scope_of
from app.access.permissions import Permission, require, role_in
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession
from app.errors import Forbidden, NotFound
from app.ids import new_id
from app.models import Project, ProjectMembership, Role, User
from app.projects.queries import lock


async def list_of(
    session: AsyncSession, actor: Actor, project: Project
) -> Sequence[tuple[ProjectMembership, User]]:
    """By name; who may because of a role in the organization is not among them."""
    await require(session, actor, scope_of(project), Permission.READ)
    statement = (
        select(ProjectMembership, User)
        .join(User, ProjectMembership.user_id == User.id)
        .where(ProjectMembership.project_id == project.id)
        .order_by(User.name)
    )
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]


async def set_role(
    session: WriteSession, actor: Actor, project: Project, user: User, role: Role
) -> ProjectMembership:
    """Give the role, or change it. Only owners, of the organization or the project, make or change owners."""
    await require(session, actor, scope_of(project), Permission.MEMBERS_WRITE)
    project = await lock(session, project.id)
    current = await _membership(session, project, user)
    if Role.OWNER in (role, current and current.role):
        await _require_owner(session, actor, project)
    statement = (
        insert(ProjectMembership)
        .values(id=new_id("pmb"), project_id=project.id, user_id=user.id, role=role)
        .on_conflict_do_update(
            index_elements=[ProjectMembership.project_id, ProjectMembership.user_id],
            set_={"role": role},
        )
        .returning(ProjectMembership)
    )
    result = await session.scalars(statement, execution_options={"populate_existing": True})
    membership = result.one()
    made = f"Made {user.name} {role.value} of the project {project.slug}."
    place = await place_of(session, project)
    await log.record(session, actor, Action.PROJECT_MEMBER_SET, place, made, subject=user.id)
    return membership


async def remove(session: WriteSession, actor: Actor, project: Project, user: User) -> None:
    """Anybody may give up an own role; taking another's needs the permission. Raises NotFound without one."""
    freely = actor.user_id == user.id and actor.grant is None
    needed = Permission.READ if freely else Permission.MEMBERS_WRITE
    await require(session, actor, scope_of(project), needed)
    project = await lock(session, project.id)
    current = await _membership(session, project, user)
    if current is None:
        raise NotFound(f"{user.name} has no role of its own in {project.slug}.", field="user")
    if current.role is Role.OWNER and not freely:
        await _require_owner(session, actor, project)
    await session.execute(delete(ProjectMembership).where(ProjectMembership.id == current.id))
    took = f"Took {user.name}'s role, {current.role.value}, in the project {project.slug}."
    place = await place_of(session, project)
    await log.record(session, actor, Action.PROJECT_MEMBER_REMOVE, place, took, subject=user.id)


async def _membership(
    session: AsyncSession, project: Project, user: User
) -> ProjectMembership | None:
    return await session.scalar(
        select(ProjectMembership).where(
            ProjectMembership.project_id == project.id, ProjectMembership.user_id == user.id
        )
    )


async def _require_owner(session: AsyncSession, actor: Actor, project: Project) -> None:
    if actor.has_every_role or await role_in(session, actor, scope_of(project)) is Role.OWNER:
        return
    raise Forbidden("Only an owner may make or change owners.", hint="Ask an owner.")
