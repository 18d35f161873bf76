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
from app.environments.previews import PreviewMaker
from app.graphql.connection import Connection, Listing
from app.graphql.context import Info
from app.graphql.fields import equals, maybe, one, page
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

    skipped: bool = equals(
        "status",
        models.PushStatus.SKIPPED,
        description="It was accepted, and no environment wants its branch.",
    )

    app: App = one(models.App, id="app_id")

    user: User | None = maybe(models.User, id="user_id")

    deployments: Connection[Deployment] = page(
        DEPLOYMENTS, description="One for each environment that the branch matched."
    )


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
            parts = info.context.container
            maker = PreviewMaker(parts.secret_box, parts.settings.wildcard_base)
            found, deployed = await deploy_branch(
                session, actor, app, parts.repositories, maker, branch=branch
            )
            return BranchDeployPayload(
                deployments=[Deployment.of(row) for _, row in deployed],
                skipped=not found.environments,
                reason=found.reason,
            )

        return await mutate(info, BranchDeployPayload, work, key=idempotency_key)
