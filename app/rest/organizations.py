"""Organizations and their members."""

from __future__ import annotations

from datetime import datetime

from app.access import find, members, users
from app.access.find import scope_of
from app.access.permissions import role_in
from app.models import Membership, Organization, Role, User
from app.organizations import queries, service
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write


class OrganizationAnswer(Answer, frozen=True):
    id: str
    slug: str
    display_name: str
    created_at: datetime

    @classmethod
    def of(cls, row: Organization) -> OrganizationAnswer:
        return cls(
            id=row.id, slug=row.slug, display_name=row.display_name, created_at=row.created_at
        )


class OrganizationDetail(OrganizationAnswer, frozen=True):
    your_role: Role | None
    """Null for an operator who is no member."""


class OrganizationList(Answer, frozen=True):
    organizations: list[OrganizationAnswer]


class OrganizationCreate(Given, frozen=True):
    slug: str
    display_name: str | None = None


class OrganizationUpdate(Given, frozen=True):
    display_name: str | None = None


class MemberAnswer(Answer, frozen=True):
    user: str
    role: Role
    created_at: datetime

    @classmethod
    def of(cls, row: Membership, user: User) -> MemberAnswer:
        return cls(user=user.name, role=row.role, created_at=row.created_at)


class MemberList(Answer, frozen=True):
    members: list[MemberAnswer]


class MemberSet(Given, frozen=True):
    role: Role


async def list_organizations(call: ReadCall[Nothing]) -> OrganizationList:
    """The organizations that you belong to; for an operator, all."""
    rows = await queries.list_visible(call.session, call.actor)
    return OrganizationList(organizations=[OrganizationAnswer.of(row) for row in rows])


async def create_organization(call: WriteCall[OrganizationCreate]) -> OrganizationAnswer:
    """Create an organization; you become its owner."""
    row = await service.create(
        call.session, call.actor, slug=call.input.slug, display_name=call.input.display_name
    )
    return OrganizationAnswer.of(row)


async def show_organization(call: ReadCall[Nothing]) -> OrganizationDetail:
    """One organization, and your role in it."""
    row = await find.organization(call.session, call.actor, slug=call.path["org"])
    return OrganizationDetail(
        id=row.id,
        slug=row.slug,
        display_name=row.display_name,
        created_at=row.created_at,
        your_role=await role_in(call.session, call.actor, scope_of(row)),
    )


async def update_organization(call: WriteCall[OrganizationUpdate]) -> OrganizationAnswer:
    """Change the display name; the slug stays."""
    row = await find.organization(call.session, call.actor, slug=call.path["org"])
    row = await service.update(call.session, call.actor, row, display_name=call.input.display_name)
    return OrganizationAnswer.of(row)


async def delete_organization(call: WriteCall[Nothing]) -> None:
    """Delete an organization that has no projects."""
    row = await find.organization(call.session, call.actor, slug=call.path["org"])
    await service.delete(call.session, call.actor, row)


async def list_members(call: ReadCall[Nothing]) -> MemberList:
    """Who belongs to the organization, and as what."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    rows = await members.list_of(call.session, call.actor, organization)
    return MemberList(members=[MemberAnswer.of(row, user) for row, user in rows])


async def set_member(call: WriteCall[MemberSet]) -> MemberAnswer:
    """Add a member, or change a member's role."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    user = await users.by_name(call.session, call.path["user"])
    row = await members.set_role(call.session, call.actor, organization, user, call.input.role)
    return MemberAnswer.of(row, user)


async def remove_member(call: WriteCall[Nothing]) -> None:
    """Remove a member, or leave."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    user = await users.by_name(call.session, call.path["user"])
    await members.remove(call.session, call.actor, organization, user)


ENDPOINTS = (
    read("/api/orgs/", list_organizations, OrganizationList),
    write(
        "POST",
        "/api/orgs/",
        create_organization,
        OrganizationAnswer,
        OrganizationCreate,
        status=201,
    ),
    read("/api/orgs/{org}", show_organization, OrganizationDetail),
    write("PATCH", "/api/orgs/{org}", update_organization, OrganizationAnswer, OrganizationUpdate),
    write("DELETE", "/api/orgs/{org}", delete_organization, None),
    read("/api/orgs/{org}/members/", list_members, MemberList),
    write("PUT", "/api/orgs/{org}/members/{user}", set_member, MemberAnswer, MemberSet),
    write("DELETE", "/api/orgs/{org}/members/{user}", remove_member, None),
)
