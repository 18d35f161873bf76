"""Inviting people to an organization, or to one project of it, and accepting."""

from __future__ import annotations

from datetime import datetime

from app.access import find, users
from app.invitations import mail, service
from app.models import Invitation, Role
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write


class InvitationShown(Answer, frozen=True):
    id: str
    email: str
    role: Role
    project_id: str | None
    """Null: a role in the organization."""
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: Invitation) -> InvitationShown:
        return cls(
            id=row.id,
            email=row.email,
            role=row.role,
            project_id=row.project_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


class InvitationList(Answer, frozen=True):
    invitations: list[InvitationShown]


class InvitationCreate(Given, frozen=True):
    email: str
    role: Role
    project: str | None = None
    """Its slug: a role in this project alone."""


class InvitationCreated(Answer, frozen=True):
    invitation: InvitationShown
    link: str
    """For the invited person; shown this once, and good for one use."""


class InvitationAccept(Given, frozen=True):
    invitation: str
    """What stands behind `#invitation=` in the link."""


class InvitationAccepted(Answer, frozen=True):
    organization: str
    project: str | None
    role: Role


async def list_invitations(call: ReadCall[Nothing]) -> InvitationList:
    """The open invitations, newest first."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    rows = await service.list_of(call.session, call.actor, organization)
    return InvitationList(invitations=[InvitationShown.of(row) for row in rows])


async def create_invitation(call: WriteCall[InvitationCreate]) -> InvitationCreated:
    """Invite a person by e-mail address; the answer has a link, which is also sent where mail is set up."""
    org, settings = call.path["org"], call.container.settings
    organization = await find.organization(call.session, call.actor, slug=org)
    project = None
    if call.input.project is not None:
        slugs = (org, call.input.project)
        project = await find.project(call.session, call.actor, slugs=slugs)
    row, secret = await service.invite(
        call.session,
        settings,
        call.actor,
        organization,
        email=call.input.email,
        role=call.input.role,
        project=project,
    )
    letter = mail.letter_of(settings, call.actor, organization, project, row, secret)
    mail.send_after_commit(call.session, settings, letter)
    return InvitationCreated(invitation=InvitationShown.of(row), link=letter.link)


async def revoke_invitation(call: WriteCall[Nothing]) -> None:
    """End an invitation: its link is worth nothing any more."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    await service.revoke(call.session, call.actor, call.path["invitation"], of=organization)


async def accept_invitation(call: WriteCall[InvitationAccept]) -> InvitationAccepted:
    """Accept an invitation as yourself."""
    user = await users.of_actor(call.session, call.actor)
    offer = await service.accept(call.session, call.actor, user, call.input.invitation)
    return InvitationAccepted(
        organization=offer.organization.slug,
        project=None if offer.project is None else offer.project.slug,
        role=offer.invitation.role,
    )


ENDPOINTS = (
    read("/api/orgs/{org}/invitations/", list_invitations, InvitationList),
    write(
        "POST",
        "/api/orgs/{org}/invitations/",
        create_invitation,
        InvitationCreated,
        InvitationCreate,
        status=201,
    ),
    write("DELETE", "/api/orgs/{org}/invitations/{invitation}", revoke_invitation, None),
    write(
        "POST", "/api/invitations/accept", accept_invitation, InvitationAccepted, InvitationAccept
    ),
)
