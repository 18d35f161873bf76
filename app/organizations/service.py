"""What can be done to organizations."""

from __future__ import annotations

from app.access.actor import Actor
from app.access.permissions import Permission, require, require_unlimited
from app.access.scope import Scope
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession, flush_or
from app.errors import PreconditionFailed, Taken
from app.ids import new_id
from app.models import Membership, Organization, Role
from app.names import valid_display_name, valid_organization_slug
from app.organizations import queries
from app.quotas import service as quotas


async def create(
    session: WriteSession, actor: Actor, *, slug: str, display_name: str | None = None
) -> Organization:
    """Anybody with a token may; its creator is its first owner. Raises Taken for a slug in use."""
    require_unlimited(actor, "create organizations")
    organization = Organization(
        id=new_id("org"),
        slug=valid_organization_slug(slug),
        display_name=valid_display_name(display_name, default=slug),
    )
    session.add(organization)
    taken = Taken(
        f"There is already an organization {slug}.", field="slug", hint="Choose another slug."
    )
    await flush_or(session, {"uq_organization_slug": taken})
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
    await log.record(
        session,
        actor,
        Action.ORGANIZATION_CREATE,
        organization,
        f"Created the organization {slug}.",
    )
    return organization


async def update(
    session: WriteSession,
    actor: Actor,
    organization: Organization,
    *,
    display_name: str | None = None,
) -> Organization:
    """Only what is given changes; an empty name is the slug again."""
    await require(session, actor, Scope(organization.id), Permission.ORGANIZATION_WRITE)
    organization = await queries.lock(session, organization.id)
    if display_name is not None:
        organization.display_name = valid_display_name(display_name, default=organization.slug)
    await session.flush()
    renamed = f"Named the organization {organization.display_name!r}."
    await log.record(session, actor, Action.ORGANIZATION_UPDATE, organization, renamed)
    return organization


async def delete(session: WriteSession, actor: Actor, organization: Organization) -> None:
    """Raises PreconditionFailed while it has projects, also soft-deleted ones."""
    await require(session, actor, Scope(organization.id), Permission.ORGANIZATION_DELETE)
    organization = await queries.lock(session, organization.id)
    in_use = PreconditionFailed(
        f"{organization.slug} still has projects; deleted ones count until they are purged.",
        hint="Delete its projects, and have an operator purge them: paas admin purge.",
    )
    await quotas.forget(session, organization.id)
    deleted = f"Deleted the organization {organization.slug}."
    await log.record(session, actor, Action.ORGANIZATION_DELETE, organization, deleted)
    await session.delete(organization)
    await flush_or(session, {"fk_project_organization_id_organization": in_use})
