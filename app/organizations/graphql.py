"""Organizations and who belongs to them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from sqlalchemy import literal

from app import models
from app.access import find, members, users
from app.access.actor import Actor
from app.access.scope import Scope
from app.db import WriteSession
from app.errors import NotFound
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import Confirm, MutationPayload, mutate, require_confirmation
from app.graphql.node import Node, shown, shows
from app.organizations import service
from app.tokens.graphql import User

if TYPE_CHECKING:
    from app.projects.graphql import Project

ProjectType = Annotated["Project", strawberry.lazy("app.projects.graphql")]
MembershipType = Annotated["Membership", strawberry.lazy("app.organizations.graphql")]

EVERYWHERE = ""
"""The parent of what stands at the top."""

ORGANIZATIONS = Listing(
    row=models.Organization, parent=literal(EVERYWHERE), key=models.Organization.slug
)
PROJECTS = Listing(
    row=models.Project,
    parent=models.Project.organization_id,
    key=models.Project.slug,
    where=lambda include_deleted: [] if include_deleted else [models.Project.deleted_at.is_(None)],
)
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

    @strawberry.field(description="Also when it is deleted: its `deletedAt` says so.")
    async def project(self, info: Info, slug: str) -> ProjectType | None:
        found: Project | None = await info.context.shown_or_none(
            models.Project, organization_id=self.id, slug=slug
        )
        return found

    @strawberry.field(description="By slug.")
    async def projects(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        include_deleted: bool = False,
    ) -> Connection[ProjectType]:
        return await info.context.connection(
            PROJECTS, self.id, first, after, last, before, filter=include_deleted
        )

    @strawberry.field
    async def members(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[MembershipType]:
        return await info.context.connection(MEMBERS, self.id, first, after, last, before)


@shows(models.Membership)
@strawberry.type(description="A user's place in an organization.")
class Membership(Node):
    role: models.Role
    created_at: datetime
    organization_id: strawberry.Private[str]
    user_id: strawberry.Private[str]

    @strawberry.field
    async def organization(self, info: Info) -> Organization:
        found: Organization = await info.context.shown(models.Organization, self.organization_id)
        return found

    @strawberry.field
    async def user(self, info: Info) -> User:
        found: User = await info.context.shown(models.User, self.user_id)
        return found


@strawberry.type
class OrganizationQueries:
    @strawberry.field(description="Null when there is none that the viewer may know of.")
    async def organization(self, info: Info, slug: str) -> Organization | None:
        actor = info.context.require_actor()
        async with info.context.container.database.read_session() as session:
            try:
                row = await find.organization(session, actor, slug=slug)
            except NotFound:
                return None
        return Organization.of(row)

    @strawberry.field(description="The viewer's organizations, by slug; an operator sees all.")
    async def organizations(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Organization]:
        info.context.require_actor()
        return await info.context.connection(ORGANIZATIONS, EVERYWHERE, first, after, last, before)


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
