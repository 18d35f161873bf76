"""What ``/auth/*`` is given and answers with."""

from __future__ import annotations

from datetime import datetime

import msgspec
from starlette.responses import Response

from app.invitations.service import Offer
from app.models import Role, User, UserSession
from app.rest.endpoint import Answer, Given
from app.sessions import cookies
from app.settings import Settings


class SignInGiven(Given, frozen=True):
    login: str
    """The user's e-mail address or name."""
    password: str


class InvitationGiven(Given, frozen=True):
    invitation: str
    """The secret of an invitation's link: what stands behind its ``#invitation=``."""


class SignUpGiven(InvitationGiven, frozen=True):
    name: str
    password: str


class PasswordGiven(Given, frozen=True):
    link: str
    """What stands behind ``#password=``."""
    password: str


class Methods(Answer, frozen=True):
    """The ways to sign in."""

    password: bool
    single_sign_on: str | None
    """What the OpenID provider is called; null where there is none."""

    @classmethod
    def of(cls, settings: Settings) -> Methods:
        return cls(
            password=True, single_sign_on=settings.oidc_name if settings.oidc_issuer else None
        )


class UserAnswer(Answer, frozen=True):
    id: str
    name: str
    email: str | None
    is_admin: bool


class SessionDetail(Answer, frozen=True):
    id: str
    created_at: datetime
    expires_at: datetime


class SessionAnswer(Answer, frozen=True):
    methods: Methods
    user: UserAnswer | None = None
    """Null for who is not signed in."""
    session: SessionDetail | None = None
    csrf_token: str | None = None
    """Every further request that changes something needs it, in the header ``X-CSRF-Token``."""


class InvitationAnswer(Answer, frozen=True):
    organization: str
    project: str | None
    email: str
    role: Role
    invited_by: str | None
    expires_at: datetime


def session_answer(user: User, row: UserSession, secret: str, methods: Methods) -> SessionAnswer:
    return SessionAnswer(
        methods=methods,
        user=UserAnswer(id=user.id, name=user.name, email=user.email, is_admin=user.is_admin),
        session=SessionDetail(id=row.id, created_at=row.created_at, expires_at=row.expires_at),
        csrf_token=cookies.csrf_token(secret),
    )


def offered(offer: Offer) -> InvitationAnswer:
    return InvitationAnswer(
        organization=offer.organization.slug,
        project=None if offer.project is None else offer.project.slug,
        email=offer.invitation.email,
        role=offer.invitation.role,
        invited_by=offer.invited_by,
        expires_at=offer.invitation.expires_at,
    )


def answer_of(answer: Answer) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
