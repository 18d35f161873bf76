"""Organizations and who belongs to them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from sqlalchemy import Select, literal

from app import models
from app.access import find, members, users
from app.access.actor import Actor
from app.access.permissions import Permission
from app.access.scope import Scope
from app.audit.graphql import AUDIT_LOG, AuditEntry, AuditLogFilter, filter_of
from app.db import WriteSession
from app.graphql.connection import (
    EVERYWHERE,
    After,
    Before,
    Connection,
    First,
    Last,
    Listing,
)
from app.graphql.context import Info
from app.graphql.fields import entry, found, one, page
from app.graphql.idempotency import Key
from app.graphql.lookup import by_columns
from app.graphql.mutation import Confirm, MutationPayload, mutate, require_confirmation
from app.graphql.node import Node, shown, shows
from app.graphql.sources import Argument
from app.invitations.graphql import INVITATIONS, Invitation
from app.names import is_slug
from app.organizations import service
from app.quotas.graphql import Quota, quota_of
from app.tokens.graphql import User
from app.webhooks.graphql import WEBHOOKS, Webhook

if TYPE_CHECKING:
    from app.projects.graphql import Project

ProjectType = Annotated["Project", strawberry.lazy("app.projects.graphql")]
MembershipType = Annotated["Membership", strawberry.lazy("app.organizations.graphql")]

ORGANIZATIONS = Listing(
    row=models.Organization, parent=literal(EVERYWHERE), key=models.Organization.slug
)
PROJECTS = Listing(
    row=models.Project,
    parent=models.Project.organization_id,
    key=models.Project.slug,
    where=lambda include_deleted: [] if include_deleted else [models.Project.deleted_at.is_(None)],
)
PROJECT = by_columns(models.Project, "organization_id", "slug")
MEMBERS = Listing(
    row=models.Membership, parent=models.Membership.organization_id, key=models.Membership.id
)


@shows(models.Organization)
@strawberry.type(description="Owns projects, and has members.")
class Organization(Node):
    slug: str = strawberry.field(
        description="The first part of its hostnames and paths; never changes."
    )
    display_name: str
    created_at: datetime

    @strawberry.field(description="The viewer's own role; null for an operator who is no member.")
    async def viewer_role(self, info: Info) -> models.Role | None:
        return await info.context.role_in(Scope(self.id))

    @strawberry.field(
        description="What it holds of the platform, and may hold; null for who only sees a part of it."
    )
    async def quota(self, info: Info) -> Quota | None:
        if not await info.context.allows(Scope(self.id), Permission.READ):
            return None
        return await quota_of(info, self.id)

    @strawberry.field(description="For whoever may change them.")
    async def webhooks(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Webhook] | None:
        await info.context.require(Scope(self.id), Permission.WEBHOOKS_WRITE)
        return await info.context.connection(WEBHOOKS, self.id, first, after, last, before)

    @strawberry.field(description="For whoever may change it; null: there is none of that id.")
    async def webhook(self, info: Info, id: strawberry.ID) -> Webhook | None:
        await info.context.require(Scope(self.id), Permission.WEBHOOKS_WRITE)
        found: Webhook | None = await info.context.shown_or_none(
            models.Webhook, organization_id=self.id, id=id
        )
        return found

    project: ProjectType | None = found(
        PROJECT, "id", slug=str, description="Also when it is deleted: its `deletedAt` says so."
    )

    projects: Connection[ProjectType] = page(
        PROJECTS, include_deleted=(bool, False), description="By slug."
    )

    members: Connection[MembershipType] = page(MEMBERS)

    @strawberry.field(description="Those that are open, newest first; for admins and owners.")
    async def invitations(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Invitation] | None:
        await info.context.require(Scope(self.id), Permission.MEMBERS_WRITE)
        return await info.context.connection(INVITATIONS, self.id, first, after, last, before)

    @strawberry.field(description="Newest first; for admins and owners.")
    async def audit_log(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: AuditLogFilter | None = None,
    ) -> Connection[AuditEntry] | None:
        await info.context.require(Scope(self.id), Permission.AUDIT_READ)
        return await info.context.connection(
            AUDIT_LOG, self.id, first, after, last, before, filter=filter_of(filter)
        )


@shows(models.Membership)
@strawberry.type(description="A user's place in an organization.")
class Membership(Node):
    role: models.Role
    created_at: datetime
    organization_id: strawberry.Private[str]
    user_id: strawberry.Private[str]

    organization: Organization = one(models.Organization, id="organization_id")

    user: User = one(models.User, id="user_id")


def _by_slug(actor: Actor, slug: Argument) -> Select[Any] | None:
    return find.named(actor, [slug.bind()]) if slug.decide(is_slug) else None


@strawberry.type
class OrganizationQueries:
    organization: Organization | None = entry(
        _by_slug, slug=str, description="Null when there is none that the viewer may know of."
    )

    organizations: Connection[Organization] = page(
        ORGANIZATIONS,
        None,
        description="The viewer's organizations, by slug; an operator sees all.",
    )


@strawberry.input
class OrganizationCreateInput:
    slug: str = strawberry.field(
        description="1 to 63 of a-z, 0-9 and single '-' between them; never changes."
    )
    display_name: str | None = None


@strawberry.input(description="Only what is given changes.")
class OrganizationUpdateInput:
    display_name: str | None = None


@strawberry.input
class MemberSetInput:
    organization_id: strawberry.ID
    user: str = strawberry.field(description="The name of an existing user.")
    role: models.Role


@strawberry.type
class OrganizationPayload(MutationPayload):
    organization: Organization | None = None


@strawberry.type
class MembershipPayload(MutationPayload):
    membership: Membership | None = None


@strawberry.type
class MemberRemovePayload(MutationPayload):
    organization: Organization | None = None


@strawberry.type
class OrganizationMutations:
    @strawberry.mutation(description="Whoever creates it is its first owner.")
    async def organization_create(
        self, info: Info, input: OrganizationCreateInput, idempotency_key: Key = None
    ) -> OrganizationPayload:
        async def work(session: WriteSession, actor: Actor) -> OrganizationPayload:
            row = await service.create(
                session, actor, slug=input.slug, display_name=input.display_name
            )
            return OrganizationPayload(organization=Organization.of(row))

        return await mutate(info, OrganizationPayload, work, key=idempotency_key)

    @strawberry.mutation
    async def organization_update(
        self, info: Info, id: strawberry.ID, input: OrganizationUpdateInput
    ) -> OrganizationPayload:
        async def work(session: WriteSession, actor: Actor) -> OrganizationPayload:
            row = await find.organization(session, actor, id=id)
            name = row.display_name if input.display_name is None else input.display_name
            row = await service.update(session, actor, row, display_name=name)
            return OrganizationPayload(organization=Organization.of(row))

        return await mutate(info, OrganizationPayload, work)

    @strawberry.mutation(
        description="At once and for good. Refused while it has projects, also deleted ones."
    )
    async def organization_delete(
        self, info: Info, id: strawberry.ID, confirm: Confirm
    ) -> OrganizationPayload:
        async def work(session: WriteSession, actor: Actor) -> OrganizationPayload:
            row = await find.organization(session, actor, id=id)
            require_confirmation(row.slug, confirm)
            deleted = Organization.of(row)
            await service.delete(session, actor, row)
            return OrganizationPayload(organization=deleted)

        return await mutate(info, OrganizationPayload, work)

    @strawberry.mutation(description="Add a member, or change a member's role.")
    async def member_set(self, info: Info, input: MemberSetInput) -> MembershipPayload:
        async def work(session: WriteSession, actor: Actor) -> MembershipPayload:
            organization = await find.organization(session, actor, id=input.organization_id)
            user = await users.by_name(session, input.user)
            row = await members.set_role(session, actor, organization, user, input.role)
            return MembershipPayload(membership=shown(row))

        return await mutate(info, MembershipPayload, work)

    @strawberry.mutation(description="Remove a member, or leave.")
    async def member_remove(
        self, info: Info, organization_id: strawberry.ID, user: str
    ) -> MemberRemovePayload:
        async def work(session: WriteSession, actor: Actor) -> MemberRemovePayload:
            organization = await find.organization(session, actor, id=organization_id)
            member = await users.by_name(session, user)
            await members.remove(session, actor, organization, member)
            return MemberRemovePayload(organization=Organization.of(organization))

        return await mutate(info, MemberRemovePayload, work)
