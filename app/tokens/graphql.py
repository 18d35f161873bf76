"""Users, their API tokens, and whoever is asking."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.access.permissions import Permission
from app.db import WriteSession
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shown, shows
from app.sessions.graphql import AccountFields
from app.tokens import service

TOKENS = Listing(
    row=models.ApiToken,
    parent=models.ApiToken.user_id,
    key=models.ApiToken.id,
    descending=True,
    where=lambda _: [models.ApiToken.revoked_at.is_(None)],
)


@shows(models.ApiToken)
@strawberry.type(description="A bearer secret of a user. Only a hash of it is kept.")
class ApiToken(Node):
    name: str
    secret_hint: str = strawberry.field(description="How the secret starts, to recognise it by.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = strawberry.field(description="To the minute.")
    permissions: list[Permission] | None = strawberry.field(
        description="What it may do at most; null: all that its user may."
    )
    organization_id: strawberry.Private[str | None]
    project_id: strawberry.Private[str | None]
    environment_id: strawberry.Private[str | None]
    app_id: strawberry.Private[str | None]

    @strawberry.field(
        description="The one place where it may do anything, as `acme/storefront/web/staging`, with `*` for"
        " any app or environment; null: wherever its user may."
    )
    async def reach(self, info: Info) -> str | None:
        loaders = info.context.loaders
        if self.organization_id is None:
            return None
        slugs = [
            "*" if id is None else str(getattr(await loaders.by_id(row, id), "slug", "*"))
            for row, id in (
                (models.Organization, self.organization_id),
                (models.Project, self.project_id),
                (models.App, self.app_id),
                (models.Environment, self.environment_id),
            )
        ]
        return "/".join(slugs[: 4 if self.app_id or self.environment_id else 2]).removesuffix("/*")


@shows(models.User)
@strawberry.type(description="A person or a machine that holds tokens.")
class User(Node):
    name: str
    is_admin: bool = strawberry.field(description="Operates the platform: may do everything in it.")
    created_at: datetime


@strawberry.type(description="Whoever sent this request.")
class Viewer(AccountFields):
    @strawberry.field
    async def user(self, info: Info) -> User | None:
        found: User | None = await info.context.shown_or_none(models.User, id=self.actor.user_id)
        return found

    @strawberry.field(description="The token that this request was sent with.")
    async def token(self, info: Info) -> ApiToken | None:
        found: ApiToken | None = await info.context.shown_or_none(
            models.ApiToken, id=self.actor.token_id
        )
        return found

    @strawberry.field(description="The viewer's own tokens that are not revoked, newest first.")
    async def tokens(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ApiToken]:
        return await info.context.connection(
            TOKENS, self.actor.user_id or "", first, after, last, before
        )


@strawberry.type
class ViewerQueries:
    @strawberry.field(description="Who is asking; null for a request without a token.")
    def viewer(self, info: Info) -> Viewer | None:
        actor = info.context.actor
        return None if actor is None else Viewer(actor=actor)


@strawberry.input
class TokenCreateInput:
    name: str
    expires_at: datetime | None = strawberry.field(
        default=None, description="With a time zone; a token without one does not expire."
    )
    permissions: list[Permission] | None = strawberry.field(
        default=None,
        description="What it may do at most; left out: all that you may. Each token may READ what it"
        " reaches; DEPLOY includes CODE_PUSH.",
    )
    resource_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The organization, project, environment, app or instance that it is for, and beyond"
        " which it may do nothing; left out: wherever you may.",
    )


@strawberry.type
class TokenPayload(MutationPayload):
    token: ApiToken | None = None


@strawberry.type
class TokenCreatePayload(MutationPayload):
    shown_once = frozenset({"secret"})

    token: ApiToken | None = None
    secret: str | None = strawberry.field(default=None, description="Shown this once.")


@strawberry.type
class TokenMutations:
    @strawberry.mutation(description="A further token for the viewer.")
    async def token_create(
        self, info: Info, input: TokenCreateInput, idempotency_key: Key = None
    ) -> TokenCreatePayload:
        async def work(session: WriteSession, actor: Actor) -> TokenCreatePayload:
            token, secret = await service.create_own(
                session,
                actor,
                name=input.name,
                expires_at=input.expires_at,
                permissions=input.permissions,
                place=await _resource(session, actor, input.resource_id),
            )
            return TokenCreatePayload(token=shown(token), secret=secret)

        return await mutate(info, TokenCreatePayload, work, key=idempotency_key)

    @strawberry.mutation(description="End a token at once. Revoking it again is fine.")
    async def token_revoke(self, info: Info, id: strawberry.ID) -> TokenPayload:
        async def work(session: WriteSession, actor: Actor) -> TokenPayload:
            return TokenPayload(token=shown(await service.revoke(session, actor, id)))

        return await mutate(info, TokenPayload, work)


async def _resource(
    session: WriteSession, actor: Actor, identifier: str | None
) -> find.Place | models.Organization | None:
    return None if identifier is None else await find.resource(session, actor, identifier)
