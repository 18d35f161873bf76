"""An app's code elsewhere, in the graph."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.db import WriteSession
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import FromRow, shown, shows
from app.outbound.guard import guard_of
from app.remotes import service

if TYPE_CHECKING:
    from app.apps.graphql import App
    from app.pushes.graphql import Push

AppType = Annotated["App", strawberry.lazy("app.apps.graphql")]
PushType = Annotated["Push", strawberry.lazy("app.pushes.graphql")]

REMOTE_PUSHES = Listing(
    row=models.RemotePush,
    parent=models.RemotePush.app_id,
    key=models.RemotePush.id,
    descending=True,
)


@shows(models.RemotePush)
@strawberry.type(description="A push elsewhere that the host told of.")
class RemotePush(FromRow):
    ref: str
    status: models.RemotePushStatus
    message: str | None = strawberry.field(description="What became of it, in words.")
    created_at: datetime
    finished_at: datetime | None
    push_id: strawberry.Private[str | None]

    @strawberry.field(description="What it became here.")
    async def push(self, info: Info) -> PushType | None:
        found: Push | None = await info.context.shown_or_none(models.Push, id=self.push_id)
        return found


@shows(models.Remote)
@strawberry.type(
    description="Where the app's code is besides here: what is pushed there is fetched and deployed."
)
class Remote(FromRow):
    host: models.RemoteHost
    url: str
    report_statuses: bool
    created_at: datetime
    app_id: strawberry.Private[str]
    token: strawberry.Private[bytes | None]

    @strawberry.field(description="The URL to give the host for its webhook.")
    def hook_url(self, info: Info) -> str:
        base = info.context.container.settings.external_url
        return f"{base}/hooks/{self.app_id}/{self.host.value}"

    @strawberry.field
    def has_token(self) -> bool:
        return self.token is not None

    @strawberry.field(description="Newest first.")
    async def pushes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[RemotePush]:
        return await info.context.connection(REMOTE_PUSHES, self.app_id, first, after, last, before)


@strawberry.input(description="What is not given of an existing link stays, but for the flags.")
class AppRemoteSetInput:
    app_id: strawberry.ID
    host: models.RemoteHost
    url: str = strawberry.field(description="`https://…`, without a user name or password.")
    token: str | None = strawberry.field(
        default=None,
        description="Reads the code, and writes statuses; empty: take the present one away.",
    )
    report_statuses: bool = strawberry.field(
        default=False, description="Tell GitHub or Gitea what becomes of each commit."
    )
    new_secret: bool = strawberry.field(default=False, description="Make the hook's secret anew.")


@strawberry.type
class AppRemotePayload(MutationPayload):
    remote: Remote | None = None
    app: AppType | None = None
    hook_secret: str | None = strawberry.field(
        default=None, description="For the host's webhook; shown once, when it is new."
    )


@strawberry.type
class RemoteMutations:
    @strawberry.mutation(
        description="What is pushed there is deployed as if you had pushed it here, for as long as you may."
    )
    async def app_remote_set(self, info: Info, input: AppRemoteSetInput) -> AppRemotePayload:
        async def work(session: WriteSession, actor: Actor) -> AppRemotePayload:
            app = await find.app(session, actor, id=input.app_id)
            container = info.context.container
            row, secret = await service.link(
                session,
                actor,
                app,
                container.secret_box,
                guard_of(container.settings),
                host=input.host,
                url=input.url,
                token=input.token,
                report_statuses=input.report_statuses,
                new_secret=input.new_secret,
            )
            return AppRemotePayload(remote=shown(row), app=shown(app), hook_secret=secret)

        return await mutate(info, AppRemotePayload, work)

    @strawberry.mutation(description="What was mirrored stays.")
    async def app_remote_unset(self, info: Info, app_id: strawberry.ID) -> AppRemotePayload:
        async def work(session: WriteSession, actor: Actor) -> AppRemotePayload:
            app = await find.app(session, actor, id=app_id)
            await service.unlink(session, actor, app)
            return AppRemotePayload(app=shown(app))

        return await mutate(info, AppRemotePayload, work)
