"""Pushes, and deploying a branch as a push of it would."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.apps.graphql import App
from app.db import WriteSession
from app.deployments.graphql import Deployment
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shows
from app.pushes.branch import deploy_branch
from app.tokens.graphql import User

DEPLOYMENTS = Listing(
    row=models.Deployment, parent=models.Deployment.push_id, key=models.Deployment.id
)


@shows(models.Push)
@strawberry.type(description="A ref that somebody moved with `git push`.")
class Push(Node):
    ref: str = strawberry.field(description="In full: `refs/heads/main`.")
    before_sha: str
    after_sha: str = strawberry.field(description="All zeros when the ref was deleted.")
    status: models.PushStatus
    reason: str | None = strawberry.field(
        description="Why it was skipped or rejected, as the git client was told."
    )
    created_at: datetime
    finished_at: datetime | None
    app_id: strawberry.Private[str]
    user_id: strawberry.Private[str | None]

    @strawberry.field(description="It was accepted, and no environment wants its branch.")
    def skipped(self) -> bool:
        return self.status is models.PushStatus.SKIPPED

    @strawberry.field
    async def app(self, info: Info) -> App:
        found: App = await info.context.shown(models.App, self.app_id)
        return found

    @strawberry.field
    async def user(self, info: Info) -> User | None:
        found: User | None = await info.context.shown_or_none(models.User, id=self.user_id)
        return found

    @strawberry.field(description="One for each environment that the branch matched.")
    async def deployments(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Deployment]:
        return await info.context.connection(DEPLOYMENTS, self.id, first, after, last, before)


@strawberry.type
class BranchDeployPayload(MutationPayload):
    deployments: list[Deployment] = strawberry.field(
        default_factory=list, description="One for each environment that the branch matches."
    )
    skipped: bool | None = None
    reason: str | None = strawberry.field(
        default=None, description="Why these environments, or why none."
    )


@strawberry.type
class PushMutations:
    @strawberry.mutation(
        description="The branch's newest commit, wherever a push to it would go. No match is no error:"
        " `skipped` is true and `reason` says why."
    )
    async def branch_deploy(
        self, info: Info, app_id: strawberry.ID, branch: str, idempotency_key: Key = None
    ) -> BranchDeployPayload:
        async def work(session: WriteSession, actor: Actor) -> BranchDeployPayload:
            app = await find.app(session, actor, id=app_id)
            repositories = info.context.container.repositories
            found, deployed = await deploy_branch(session, actor, app, repositories, branch=branch)
            return BranchDeployPayload(
                deployments=[Deployment.of(row) for _, row in deployed],
                skipped=not found.environments,
                reason=found.reason,
            )

        return await mutate(info, BranchDeployPayload, work, key=idempotency_key)
