"""Your own tokens."""

from __future__ import annotations

from datetime import datetime

from app.access import find
from app.access.permissions import Permission
from app.models import ApiToken
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write
from app.tokens import queries, service


class TokenAnswer(Answer, frozen=True):
    id: str
    name: str
    secret_hint: str
    """How the secret starts."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    permissions: list[str] | None
    """What it may do at most; null: all that you may."""
    resource_id: str | None
    """The one place where it may do anything, the smallest that holds it; null: wherever you may."""

    @classmethod
    def of(cls, row: ApiToken) -> TokenAnswer:
        return cls(
            id=row.id,
            name=row.name,
            secret_hint=row.secret_hint,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            permissions=row.permissions,
            resource_id=row.environment_id or row.app_id or row.project_id or row.organization_id,
        )


class TokenCreated(Answer, frozen=True):
    token: TokenAnswer
    secret: str
    """Shown this once."""


class TokenList(Answer, frozen=True):
    tokens: list[TokenAnswer]


class TokenCreate(Given, frozen=True):
    name: str
    expires_at: datetime | None = None
    permissions: list[Permission] | None = None
    """At most these; ``read`` comes with each, and ``code:push`` with ``deploy``."""
    organization: str | None = None
    """With the three below: slugs of the only place where it may do anything."""
    project: str | None = None
    environment: str | None = None
    app: str | None = None


async def list_tokens(call: ReadCall[Nothing]) -> TokenList:
    """Your tokens that are not revoked, newest first."""
    rows = await queries.list_own(call.session, call.actor)
    return TokenList(tokens=[TokenAnswer.of(row) for row in rows])


async def create_token(call: WriteCall[TokenCreate]) -> TokenCreated:
    """Make another token of your own; its secret is shown this once."""
    given = call.input
    slugs = (given.organization, given.project, given.environment, given.app)
    row, secret = await service.create_own(
        call.session,
        call.actor,
        name=given.name,
        expires_at=given.expires_at,
        permissions=given.permissions,
        place=await find.place_by_slugs(call.session, call.actor, *slugs),
    )
    return TokenCreated(token=TokenAnswer.of(row), secret=secret)


async def revoke_token(call: WriteCall[Nothing]) -> None:
    """End one of your tokens at once."""
    await service.revoke(call.session, call.actor, call.path["token"])


ENDPOINTS = (
    read("/api/tokens/", list_tokens, TokenList),
    write("POST", "/api/tokens/", create_token, TokenCreated, TokenCreate, status=201),
    write("DELETE", "/api/tokens/{token}", revoke_token, None),
)
