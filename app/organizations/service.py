"""What can be done to organizations."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from app.access.actor import Actor
from app.access.permissions import Permission, require
from app.db import WriteSession, violated_constraint
from app.errors import PreconditionFailed, Taken
from app.ids import new_id
from app.models import Membership, Organization, Role
from app.names import valid_display_name, valid_organization_slug


async def create(
    session: WriteSession, actor: Actor, *, slug: str, display_name: str | None = None
) -> Organization:
    """Anybody with a token may; its creator is its first owner. Raises Taken for a slug in use."""
    organization = Organization(
        id=new_id("org"),
        slug=valid_organization_slug(slug),
        display_name=valid_display_name(display_name, default=slug),
    )
    session.add(organization)
    try:
        await session.flush()
    except IntegrityError as error:
        if violated_constraint(error) != "uq_organization_slug":
            raise
        raise Taken(
            f"There is already an organization {slug}.", field="slug", hint="Choose another slug."
        ) from error
    if actor.user_id is not None:
        session.add(
            Membership(
                id=new_id("mem"),
                organization_id=organization.id,
                user_id=actor.user_id,
                role=Role.OWNER,
            )
        )
        await session.flush()
    return organization


async def update(
    session: WriteSession, actor: Actor, organization: Organization, *, display_name: str | None
) -> Organization:
    await require(session, actor, organization.id, Permission.ORGANIZATION_WRITE)
    organization.display_name = valid_display_name(display_name, default=organization.slug)
    await session.flush()
    return organization


async def delete(session: WriteSession, actor: Actor, organization: Organization) -> None:
    """Raises PreconditionFailed while it has projects, also soft-deleted ones."""
    await require(session, actor, organization.id, Permission.ORGANIZATION_DELETE)
    await session.delete(organization)
    try:
        await session.flush()
    except IntegrityError as error:
        if violated_constraint(error) != "fk_project_organization_id_organization":
            raise
        raise PreconditionFailed(
            f"{organization.slug} still has projects; deleted ones count until they are purged.",
            hint="Delete its projects, and have an operator purge them: paas admin purge.",
        ) from error
