"""Releases, and the deployments that roll them out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from sqlalchemy import case, select

from app import models
from app.access import find
from app.access.actor import Actor
from app.access.permissions import Permission
from app.builds import graphql as builds
from app.db import WriteSession
from app.deployments import preview, queries, service
from app.errors import NotFound
from app.graphql.connection import Connection
from app.graphql.context import Context, Info
from app.graphql.fields import column, every, keys, maybe, one, page, part, texts
from app.graphql.idempotency import Key
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import FromRow, Node, shows
from app.instances.graphql import Instance, Scale, StagedChanges, staged
from app.tokens.graphql import User

if TYPE_CHECKING:
    from app.pushes.graphql import Push

PushType = Annotated["Push", strawberry.lazy("app.pushes.graphql")]
DeploymentType = Annotated["Deployment", strawberry.lazy("app.deployments.graphql")]
PHASE_ORDER = case(
    *(
        (models.DeploymentStep.phase == phase, place)
        for place, phase in enumerate(models.DeploymentPhase)
    )
)


@shows(models.Release)
@strawberry.type(description="A build with its variables and scale, frozen.")
class Release(Node):
    number: int = strawberry.field(description="Counts up in its instance.")
    container_port: int
    created_at: datetime
    instance_id: strawberry.Private[str]
    build_id: strawberry.Private[str]
    replicas: strawberry.Private[int]
    cpu_millis: strawberry.Private[int]
    memory_mb: strawberry.Private[int]
    env_digests: strawberry.Private[dict[str, str]]

    instance: Instance = one(models.Instance, id="instance_id")

    build: builds.Build = one(models.Build, id="build_id")

    scale: Scale = part(Scale)

    env_var_names: list[str] = keys(
        "env_digests", description="Names of the variables it was frozen with."
    )


@shows(models.DeploymentStep)
@strawberry.type
class DeploymentStep(FromRow):
    phase: models.DeploymentPhase
    status: models.StepStatus
    message: str | None
    started_at: datetime | None
    finished_at: datetime | None


@strawberry.type
class DeploymentFailure:
    code: models.FailureCode
    phase: models.DeploymentPhase | None
    message: str = column("message", or_else="", description="One plain sentence.")
    hint: str | None = strawberry.field(description="What to do next.")
    log_tail: list[str] = texts(
        "log_tail", description="The last lines that the app or build wrote."
    )


@shows(models.Deployment)
@strawberry.type(description="One release being rolled out to one instance.")
class Deployment(Node):
    number: int = strawberry.field(description="Counts up in its instance.")
    status: models.DeploymentStatus
    phase: models.DeploymentPhase | None
    trigger: models.DeploymentTrigger
    ref: str | None
    commit_sha: str | None
    commit_message: str | None
    desired_replicas: int
    healthy_replicas: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    instance_id: strawberry.Private[str]
    push_id: strawberry.Private[str | None]
    user_id: strawberry.Private[str | None]
    build_id: strawberry.Private[str | None]
    release_id: strawberry.Private[str | None]
    source_deployment_id: strawberry.Private[str | None]
    superseded_by_id: strawberry.Private[str | None]
    failure_code: strawberry.Private[models.FailureCode | None]
    failure_phase: strawberry.Private[models.DeploymentPhase | None]
    failure_message: strawberry.Private[str | None]
    failure_hint: strawberry.Private[str | None]
    failure_log_tail: strawberry.Private[list[str]]

    instance: Instance = one(models.Instance, id="instance_id")

    creator: User | None = maybe(
        models.User,
        id="user_id",
        description="Who asked for it; null when the platform itself did.",
    )

    push: PushType | None = maybe(models.Push, id="push_id")

    build: builds.Build | None = maybe(
        models.Build, id="build_id", description="Null until it is known which build it waits for."
    )

    release: Release | None = maybe(
        models.Release, id="release_id", description="Null until its build is done."
    )

    source: DeploymentType | None = maybe(
        models.Deployment,
        id="source_deployment_id",
        description="The deployment that this one rolls back to, or promotes.",
    )

    superseded_by: DeploymentType | None = maybe(models.Deployment, id="superseded_by_id")

    @strawberry.field(description="Its state and the viewer's role allow `deploymentCancel`.")
    async def can_cancel(self, info: Info) -> bool:
        row = await info.context.loaders.by_id(models.Deployment, self.id)
        return queries.can_cancel(row) and await _may_deploy(info.context, self)

    @strawberry.field(description="Its state and the viewer's role allow `deploymentRollback`.")
    async def can_roll_back_to(self, info: Info) -> bool:
        row = await info.context.loaders.by_id(models.Deployment, self.id)
        instance = await info.context.loaders.by_id(models.Instance, self.instance_id)
        may = await _may_deploy(info.context, self)
        return queries.can_roll_back_to(row, instance) and may

    @strawberry.field(description="Its state and the viewer's role allow `deploymentPromote`.")
    async def can_promote(self, info: Info) -> bool:
        row = await info.context.loaders.by_id(models.Deployment, self.id)
        return queries.can_promote(row) and await _may_deploy(info.context, self)

    failure: DeploymentFailure | None = part(
        DeploymentFailure, "failure_", when="failure_code", description="Null unless it failed."
    )

    steps: list[DeploymentStep] = every(
        models.DeploymentStep,
        models.DeploymentStep.deployment_id,
        order=PHASE_ORDER,
        description="In the order of the phases.",
    )

    build_log: Connection[builds.LogLine] | None = page(
        builds.LOG,
        "build_id",
        description="Of the build that it waits for or uses; null when there is none yet.",
    )


@strawberry.type(description="What a deployment would do, asked before it is made.")
class DeploymentPlan:
    commit_before: str | None = strawberry.field(description="Null when nothing runs.")
    commit_after: str | None = strawberry.field(description="Null when nothing was built yet.")
    changes: StagedChanges | None = strawberry.field(
        description="Variables, by name and never by value, and settings; null when none differ."
    )
    job_changes: list[str] = strawberry.field(
        description="What the engine would change in the job, in its own words."
    )
    fits: bool = strawberry.field(description="Whether the engine has room for it now.")
    reasons: list[str] = strawberry.field(
        description="Why not, e.g. `memory: no node has 64000 MB free`."
    )


@strawberry.input
class DeploymentPlanInput:
    instance_id: strawberry.ID
    deployment_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Plan to roll back to, or to promote, that one. Left out: to apply what is staged.",
    )


@strawberry.type
class DeploymentQueries:
    @strawberry.field(description="Shows the difference, and whether it will fit. Changes nothing.")
    async def deployment_plan(self, info: Info, input: DeploymentPlanInput) -> DeploymentPlan:
        actor, platform = info.context.require_actor(), info.context.container
        async with platform.database.read_session() as session:
            instance = await find.instance(session, actor, id=input.instance_id)
            deployment = None
            if input.deployment_id is not None:
                deployment = await find.deployment(session, actor, id=input.deployment_id)
        found = await preview.deployment_plan(
            platform.database,
            actor,
            instance,
            platform.scheduler,
            platform.slugs,
            deployment=deployment,
        )
        return DeploymentPlan(
            commit_before=found.code.before,
            commit_after=found.code.after,
            changes=staged(found.changes),
            job_changes=list(found.job_changes),
            fits=found.fits,
            reasons=list(found.reasons),
        )


async def _may_deploy(context: Context, deployment: Deployment) -> bool:
    instance = await context.loaders.by_id(models.Instance, deployment.instance_id)
    scope = await context.scope_of_instance(instance.app_id, instance.environment_id)
    return await context.allows(scope, Permission.DEPLOY)


@strawberry.input(
    description="Without `ref` and `commitSha`: what runs now, or else the environment's own branch."
)
class DeploymentCreateInput:
    instance_id: strawberry.ID
    ref: str | None = strawberry.field(default=None, description="A branch or a tag.")
    commit_sha: str | None = None


@strawberry.type
class DeploymentPayload(MutationPayload):
    deployment: Deployment | None = None


@strawberry.type
class DeploymentMutations:
    @strawberry.mutation(description="A commit that was built before is not built again.")
    async def deployment_create(
        self, info: Info, input: DeploymentCreateInput, idempotency_key: Key = None
    ) -> DeploymentPayload:
        async def work(session: WriteSession, actor: Actor) -> DeploymentPayload:
            instance = await find.instance(session, actor, id=input.instance_id)
            repositories = info.context.container.repositories
            row = await service.create_from_ref(
                session, actor, instance, repositories, ref=input.ref, commit_sha=input.commit_sha
            )
            return DeploymentPayload(deployment=Deployment.of(row))

        return await mutate(info, DeploymentPayload, work, key=idempotency_key)

    @strawberry.mutation(
        description="Asks for it: what ran before is put back, then it ends as CANCELED."
    )
    async def deployment_cancel(self, info: Info, id: strawberry.ID) -> DeploymentPayload:
        async def work(session: WriteSession, actor: Actor) -> DeploymentPayload:
            row = await find.deployment(session, actor, id=id)
            return DeploymentPayload(
                deployment=Deployment.of(await service.cancel(session, actor, row))
            )

        return await mutate(info, DeploymentPayload, work)

    @strawberry.mutation(
        description="Code, variables and scale of that deployment, in one step and without building."
    )
    async def deployment_rollback(
        self, info: Info, id: strawberry.ID, idempotency_key: Key = None
    ) -> DeploymentPayload:
        async def work(session: WriteSession, actor: Actor) -> DeploymentPayload:
            row = await find.deployment(session, actor, id=id)
            box = info.context.container.secret_box
            return DeploymentPayload(
                deployment=Deployment.of(await service.rollback(session, actor, row, box))
            )

        return await mutate(info, DeploymentPayload, work, key=idempotency_key)

    @strawberry.mutation(
        description="The same build in another environment, with that one's variables and scale."
    )
    async def deployment_promote(
        self,
        info: Info,
        id: strawberry.ID,
        to_environment_id: strawberry.ID,
        idempotency_key: Key = None,
    ) -> DeploymentPayload:
        async def work(session: WriteSession, actor: Actor) -> DeploymentPayload:
            row = await find.deployment(session, actor, id=id)
            target = await _counterpart(session, actor, row, to_environment_id)
            return DeploymentPayload(
                deployment=Deployment.of(await service.promote(session, actor, row, target))
            )

        return await mutate(info, DeploymentPayload, work, key=idempotency_key)


async def _counterpart(
    session: WriteSession, actor: Actor, deployment: models.Deployment, environment_id: str
) -> models.Instance:
    """The same app's instance in the other environment. Raises NotFound."""
    environment = await find.environment(session, actor, id=environment_id)
    instance = await find.instance(session, actor, id=deployment.instance_id)
    found = await session.scalar(
        select(models.Instance).where(
            models.Instance.app_id == instance.app_id,
            models.Instance.environment_id == environment.id,
        )
    )
    if found is None:
        raise NotFound(
            f"{environment.slug} is an environment of another project.", field="toEnvironmentId"
        )
    return found
