"""The account of whoever is signed in: sessions, linked accounts, the password."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app import models
from app.access.actor import Actor
from app.db import WriteSession
from app.errors import PaasError
from app.graphql.context import Info
from app.graphql.errors import user_error
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shows
from app.sessions import service
from app.users import identities
from app.users import service as users


@shows(models.UserSession)
@strawberry.type(description="A browser that is signed in.")
class Session(Node):
    address: str = strawberry.field(description="From where it was last used.")
    user_agent: str = strawberry.field(description="What the browser said of itself.")
    created_at: datetime
    last_used_at: datetime = strawberry.field(description="To the minute.")
    expires_at: datetime = strawberry.field(description="When it ends however much it is used.")

    @strawberry.field(description="This very request came in it.")
    def is_current(self, info: Info) -> bool:
        return info.context.require_actor().session_id == self.id


@shows(models.UserIdentity)
@strawberry.type(description="An account at the OpenID provider that signs in as the viewer.")
class Identity(Node):
    issuer: str
    subject: str
    email: str | None = strawberry.field(description="As the provider last told it, if verified.")
    created_at: datetime
    last_used_at: datetime | None


@strawberry.type
class AccountFields:
    actor: strawberry.Private[Actor]

    @strawberry.field(
        description="The viewer's e-mail address, which may sign in instead of the name."
    )
    async def email(self, info: Info) -> str | None:
        async with info.context.container.database.read_session() as session:
            user = await session.get(models.User, self.actor.user_id or "")
        return None if user is None else user.email

    @strawberry.field(description="The viewer's browsers that are signed in, the last used first.")
    async def sessions(self, info: Info) -> list[Session]:
        container = info.context.container
        async with container.database.read_session() as session:
            rows = await service.list_own(session, container.settings, self.actor)
        return [Session.of(row) for row in rows]

    @strawberry.field(description="Accounts at the OpenID provider that sign in as the viewer.")
    async def identities(self, info: Info) -> list[Identity]:
        async with info.context.container.database.read_session() as session:
            rows = await identities.list_own(session, self.actor)
        return [Identity.of(row) for row in rows]


@strawberry.type
class SessionPayload(MutationPayload):
    session_id: strawberry.ID | None = None


@strawberry.type
class IdentityPayload(MutationPayload):
    identity_id: strawberry.ID | None = None


@strawberry.type
class PasswordPayload(MutationPayload):
    sessions: list[Session] | None = strawberry.field(
        default=None, description="What is still signed in: this browser alone."
    )


@strawberry.type
class AccountMutations:
    @strawberry.mutation(
        description="Change the viewer's own password, in a browser that is signed in. Every other session"
        " of the viewer ends; API tokens do not."
    )
    async def password_change(
        self, info: Info, current_password: str, new_password: str
    ) -> PasswordPayload:
        container, actor = info.context.container, info.context.require_actor()
        try:
            if info.context.rate is not None:
                info.context.rate.attempt(actor.user_id)
            prepared = await users.prepare_change(
                container.database, actor, current_password, new_password
            )
        except PaasError as error:
            return PasswordPayload(user_errors=[user_error(error)])

        async def work(session: WriteSession, actor: Actor) -> PasswordPayload:
            await users.change_password(session, actor, prepared)
            rows = await service.list_own(session, container.settings, actor)
            return PasswordPayload(sessions=[Session.of(row) for row in rows])

        return await mutate(info, PasswordPayload, work)

    @strawberry.mutation(description="Sign a browser of the viewer out, at once.")
    async def session_revoke(self, info: Info, id: strawberry.ID) -> SessionPayload:
        async def work(session: WriteSession, actor: Actor) -> SessionPayload:
            row = await service.revoke(session, actor, id)
            return SessionPayload(session_id=strawberry.ID(row.id))

        return await mutate(info, SessionPayload, work)

    @strawberry.mutation(
        description="Stop an account at the OpenID provider from signing in as the viewer."
    )
    async def identity_unlink(self, info: Info, id: strawberry.ID) -> IdentityPayload:
        async def work(session: WriteSession, actor: Actor) -> IdentityPayload:
            row = await identities.unlink(session, actor, id)
            return IdentityPayload(identity_id=strawberry.ID(row.id))

        return await mutate(info, IdentityPayload, work)
