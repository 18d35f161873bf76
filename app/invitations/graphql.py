"""Inviting people, and accepting."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from sqlalchemy import func

from app import models
from app.access import find, users
from app.access.actor import Actor
from app.db import WriteSession
from app.graphql.connection import Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shown, shows
from app.invitations import mail, service

if TYPE_CHECKING:
    from app.organizations.graphql import Organization
    from app.projects.graphql import Project

OrganizationType = Annotated["Organization", strawberry.lazy("app.organizations.graphql")]
ProjectType = Annotated["Project", strawberry.lazy("app.projects.graphql")]

INVITATIONS = Listing(
    row=models.Invitation,
    parent=models.Invitation.organization_id,
    key=models.Invitation.id,
    descending=True,
    where=lambda _: [
        models.Invitation.accepted_at.is_(None),
        models.Invitation.revoked_at.is_(None),
        models.Invitation.expires_at > func.now(),
    ],
)


@shows(models.Invitation)
@strawberry.type(description="A role that waits for whoever was sent its link.")
class Invitation(Node):
    email: str
    role: models.Role
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None
    project_id: strawberry.Private[str | None]

    @strawberry.field(description="The one project that the role is in; null: the organization.")
    async def project(self, info: Info) -> ProjectType | None:
        found: Project | None = await info.context.shown_or_none(models.Project, id=self.project_id)
        return found


@strawberry.input
class MemberInviteInput:
    organization_id: strawberry.ID
    email: str
    role: models.Role
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="A role in this project alone, and not in the organization."
    )


@strawberry.type
class MemberInvitePayload(MutationPayload):
    shown_once = frozenset({"link"})

    invitation: Invitation | None = None
    link: str | None = strawberry.field(
        default=None, description="For the invited person; shown this once, and good for one use."
    )
    sent: bool | None = strawberry.field(
        default=None, description="It was handed to the mail server; false where none is set."
    )


@strawberry.type
class InvitationPayload(MutationPayload):
    invitation: Invitation | None = None


@strawberry.type
class InvitationAcceptPayload(MutationPayload):
    organization: OrganizationType | None = None
    project: ProjectType | None = None


@strawberry.type
class InvitationMutations:
    @strawberry.mutation(
        description="Invite a person by e-mail address to an organization, or to one project of it. An open"
        " invitation of the same address to the same place ends."
    )
    async def member_invite(
        self, info: Info, input: MemberInviteInput, idempotency_key: Key = None
    ) -> MemberInvitePayload:
        settings = info.context.container.settings

        async def work(session: WriteSession, actor: Actor) -> MemberInvitePayload:
            organization = await find.organization(session, actor, id=input.organization_id)
            project = None
            if input.project_id is not None:
                project = await find.project(session, actor, id=input.project_id)
            row, secret = await service.invite(
                session,
                settings,
                actor,
                organization,
                email=input.email,
                role=input.role,
                project=project,
            )
            letter = mail.letter_of(settings, actor, organization, project, row, secret)
            letters.append(letter)
            return MemberInvitePayload(invitation=Invitation.of(row), link=letter.link, sent=False)

        letters: list[mail.Letter] = []
        payload = await mutate(info, MemberInvitePayload, work, key=idempotency_key)
        if payload.invitation is not None and letters:
            payload.sent = await mail.send(settings, letters[0])
        return payload

    @strawberry.mutation(description="Its link is worth nothing any more. Again is fine.")
    async def invitation_revoke(self, info: Info, id: strawberry.ID) -> InvitationPayload:
        async def work(session: WriteSession, actor: Actor) -> InvitationPayload:
            row = await service.revoke(session, actor, id)
            return InvitationPayload(invitation=Invitation.of(row))

        return await mutate(info, InvitationPayload, work)

    @strawberry.mutation(
        description="Accept as the viewer. `secret` is what stands behind `#invitation=` in the link."
    )
    async def invitation_accept(self, info: Info, secret: str) -> InvitationAcceptPayload:
        async def work(session: WriteSession, actor: Actor) -> InvitationAcceptPayload:
            user = await users.of_actor(session, actor)
            offer = await service.accept(session, actor, user, secret)
            project = None if offer.project is None else shown(offer.project)
            return InvitationAcceptPayload(organization=shown(offer.organization), project=project)

        return await mutate(info, InvitationAcceptPayload, work)
