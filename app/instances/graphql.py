"""Instances: one app in one environment, with its own variables, scale and deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import strawberry
from sqlalchemy import ColumnElement

from app import models
from app.access import find
from app.access.actor import Actor
from app.access.permissions import Permission
from app.apps.graphql import App
from app.db import WriteSession
from app.environments.graphql import Environment
from app.errors import InvalidInput
from app.events.graphql import EVENTS, Event
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Context, Info
from app.graphql.fields import every, maybe, one, page, part, spelled
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import FromRow, Node, shown, shows
from app.instances import live, plan, service
from app.instances.live import Container
from app.instances.secrets import open_value
from app.instances.status import InstanceStatus
from app.logs import graphql as logs
from app.logs.graphql import LogFilterInput, LogLineConnection
from app.metrics.graphql import MetricSeries, MetricsInput, metrics_of

if TYPE_CHECKING:
    from app.deployments.graphql import Deployment, Release

DeploymentType = Annotated["Deployment", strawberry.lazy("app.deployments.graphql")]
ReleaseType = Annotated["Release", strawberry.lazy("app.deployments.graphql")]


def _with_status(statuses: frozenset[models.DeploymentStatus] | None) -> list[ColumnElement[bool]]:
    return [] if statuses is None else [models.Deployment.status.in_(statuses)]


DEPLOYMENTS = Listing(
    row=models.Deployment,
    parent=models.Deployment.instance_id,
    key=models.Deployment.number,
    descending=True,
    where=_with_status,
)


@strawberry.type(description="How many copies, and what each of them may use.")
class Scale:
    replicas: int
    cpu_millis: int = strawberry.field(description="Thousandths of a processor core, per replica.")
    memory_mb: int = strawberry.field(description="Per replica.")


@shows(models.EnvVar)
@strawberry.type(description="A variable that the app is started with.")
class EnvVar(FromRow):
    name: str
    digest: str = strawberry.field(
        description="A keyed hash of the value: tells whether it changed, and nothing else."
    )
    is_build: bool = strawberry.field(description="The build is given it too, as a secret.")
    updated_at: datetime
    instance_id: strawberry.Private[str]
    ciphertext: strawberry.Private[bytes]
    key_id: strawberry.Private[str]

    @strawberry.field(description="Null when the viewer may not read values.")
    async def value(self, info: Info) -> str | None:
        place = await info.context.loaders.by_id(models.Instance, self.instance_id)
        scope = await info.context.scope_of_instance(place.app_id, place.environment_id)
        if not await info.context.allows(scope, Permission.ENV_VARS_READ):
            return None
        await info.context.shown_values.tell(self.instance_id, self.name)
        row = cast("models.EnvVar", self)  # whose columns it has
        return open_value(info.context.container.secret_box, row)


@strawberry.type(description="A variable that differs from the current release.")
class StagedVariable:
    name: str
    kind: plan.ChangeKind
    is_build: bool


@strawberry.type(description="A setting that differs from the current release.")
class StagedSetting:
    name: str = strawberry.field(
        description="`replicas`, `cpuMillis`, `memoryMb` or `containerPort`."
    )
    before: int | None = strawberry.field(description="Null when nothing was released yet.")
    after: int


@strawberry.type(
    description="What is desired and not in the current release: the next deployment takes it along."
)
class StagedChanges:
    variables: list[StagedVariable]
    settings: list[StagedSetting]
    needs_build: bool = strawberry.field(
        description="A variable that the build sees differs, so that the commit is built again."
    )


@shows(models.Instance)
@strawberry.type(description="One app in one environment.")
class Instance(Node):
    hostname: str
    created_at: datetime
    app_id: strawberry.Private[str]
    environment_id: strawberry.Private[str]
    replicas: strawberry.Private[int]
    cpu_millis: strawberry.Private[int]
    memory_mb: strawberry.Private[int]
    current_release_id: strawberry.Private[str | None]

    app: App = one(models.App, id="app_id")

    environment: Environment = one(models.Environment, id="environment_id")

    url: str = spelled(
        "http://{hostname}{platform.ingress}", description="Where it answers once it is deployed."
    )

    @strawberry.field(description="How it is doing now; asks the router's catalog.")
    async def status(self, info: Info) -> InstanceStatus:
        row = await info.context.loaders.by_id(models.Instance, self.id)
        return await live.status(info.context, row, DEPLOYMENTS)

    @strawberry.field(
        description="The running copies; asks the engine, null when it does not answer."
    )
    async def containers(self, info: Info) -> list[Container] | None:
        row = await info.context.loaders.by_id(models.Instance, self.id)
        return await live.containers(info.context, row)

    scale: Scale = part(Scale, description="As desired; a release freezes it.")

    env_vars: list[EnvVar] = every(
        models.EnvVar,
        models.EnvVar.instance_id,
        order=models.EnvVar.name,
        description="As desired, by name; a release freezes them.",
    )

    @strawberry.field(description="Null when nothing is staged.")
    async def staged_changes(self, info: Info) -> StagedChanges | None:
        return staged(plan.pending(*await _desired_and_released(info.context, self)))

    current_release: ReleaseType | None = maybe(
        models.Release,
        id="current_release_id",
        description="What last became healthy, and should be running.",
    )

    current_deployment: DeploymentType | None = maybe(
        models.Deployment,
        instance_id="id",
        release_id="current_release_id",
        description="The deployment that brought the current release.",
    )

    deployments: Connection[DeploymentType] = page(
        DEPLOYMENTS,
        status=(list[models.DeploymentStatus] | None, None),
        description="Newest first.",
    )

    events: Connection[Event] = page(
        EVENTS,
        description="What happened to it, the newest first; `instanceEvents` goes on from any cursor.",
    )

    @strawberry.field(description="What it used and served, over a time.")
    async def metrics(self, info: Info, input: MetricsInput) -> list[MetricSeries]:
        return await metrics_of(info, self.id, input)

    @strawberry.field(description="What its containers write.")
    async def logs(
        self,
        info: Info,
        filter: LogFilterInput | None = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> LogLineConnection:
        return await logs.page_of(info.context, self.id, filter, first, after, last, before)


def staged(changes: plan.PendingChanges) -> StagedChanges | None:
    """None when there are none."""
    if not changes:
        return None
    return StagedChanges(
        variables=[
            StagedVariable(name=change.name, kind=change.kind, is_build=change.is_build)
            for change in changes.variables
        ],
        settings=[
            StagedSetting(name=change.name, before=change.before, after=change.after)
            for change in changes.settings
        ],
        needs_build=changes.needs_build,
    )


async def _variables(context: Context, instance_id: str) -> Sequence[models.EnvVar]:
    return await context.loaders.all_of(
        models.EnvVar, models.EnvVar.instance_id, instance_id, order=models.EnvVar.name
    )


async def _desired_and_released(
    context: Context, instance: Instance
) -> tuple[plan.Desired, plan.Desired | None]:
    """``app.instances.queries.desired`` and ``released``, batched over the instances of a request."""
    variables, app, release = await asyncio.gather(
        _variables(context, instance.id),
        context.loaders.by_id(models.App, instance.app_id),
        context.loaders.find(models.Release, id=instance.current_release_id),
    )
    desired = plan.Desired(
        digests={row.name: row.digest for row in variables},
        replicas=instance.replicas,
        cpu_millis=instance.cpu_millis,
        memory_mb=instance.memory_mb,
        container_port=app.container_port,
    )
    if release is None:
        return desired, None
    return desired, plan.Desired(
        digests=release.env_digests,
        replicas=release.replicas,
        cpu_millis=release.cpu_millis,
        memory_mb=release.memory_mb,
        container_port=release.container_port,
    )


Deploy = Annotated[
    bool,
    strawberry.argument(
        description="False only stages it: it goes out with the next deployment, or `instanceApply`."
    ),
]


@strawberry.input
class EnvVarInput:
    name: str
    value: str
    is_build: bool | None = strawberry.field(
        default=None,
        description="Give it to the build too, as a secret. Left out: as it was; a new one: no.",
    )


@strawberry.input
class EnvVarsSetInput:
    vars: list[EnvVarInput] = strawberry.field(description="Variables not named stay as they are.")
    deploy: bool = strawberry.field(
        default=True,
        description="False only stages it: it goes out with the next deployment, or `instanceApply`.",
    )


@strawberry.input(description="Only what is given changes.")
class ScaleInput:
    replicas: int | None = None
    cpu_millis: int | None = None
    memory_mb: int | None = None
    deploy: bool = strawberry.field(
        default=True,
        description="False only stages it: it goes out with the next deployment, or `instanceApply`.",
    )


@strawberry.type
class InstancePayload(MutationPayload):
    instance: Instance | None = None
    deployment: DeploymentType | None = strawberry.field(
        default=None, description="Null when nothing had to be deployed, or nothing ever was."
    )


@strawberry.type
class InstanceMutations:
    @strawberry.mutation(description="All of them or, with `userErrors`, none.")
    async def env_vars_set(
        self, info: Info, instance_id: strawberry.ID, input: EnvVarsSetInput
    ) -> InstancePayload:
        async def work(session: WriteSession, actor: Actor) -> InstancePayload:
            row = await find.instance(session, actor, id=instance_id)
            box = info.context.container.secret_box
            deployment = await service.set_env_vars(
                session, actor, row, box, _changes(input.vars), deploy=input.deploy
            )
            return _payload(row, deployment)

        return await mutate(info, InstancePayload, work)

    @strawberry.mutation(description="All of them or, with `userErrors`, none.")
    async def env_vars_unset(
        self, info: Info, instance_id: strawberry.ID, names: list[str], deploy: Deploy = True
    ) -> InstancePayload:
        async def work(session: WriteSession, actor: Actor) -> InstancePayload:
            row = await find.instance(session, actor, id=instance_id)
            deployment = await service.unset_env_vars(session, actor, row, names, deploy=deploy)
            return _payload(row, deployment)

        return await mutate(info, InstancePayload, work)

    @strawberry.mutation
    async def scale_update(
        self, info: Info, instance_id: strawberry.ID, input: ScaleInput
    ) -> InstancePayload:
        async def work(session: WriteSession, actor: Actor) -> InstancePayload:
            row = await find.instance(session, actor, id=instance_id)
            deployment = await service.set_scale(
                session,
                actor,
                row,
                replicas=input.replicas,
                cpu_millis=input.cpu_millis,
                memory_mb=input.memory_mb,
                deploy=input.deploy,
            )
            return _payload(row, deployment)

        return await mutate(info, InstancePayload, work)

    @strawberry.mutation(description="Deploy every staged change at once, with the code in place.")
    async def instance_apply(self, info: Info, id: strawberry.ID) -> InstancePayload:
        async def work(session: WriteSession, actor: Actor) -> InstancePayload:
            row = await find.instance(session, actor, id=id)
            return _payload(row, await service.apply(session, actor, row))

        return await mutate(info, InstancePayload, work)


def _changes(given: list[EnvVarInput]) -> dict[str, plan.EnvVarChange]:
    changes: dict[str, plan.EnvVarChange] = {}
    for variable in given:
        if variable.name in changes:
            raise InvalidInput("A variable is named twice.", field="vars")
        changes[variable.name] = plan.EnvVarChange(variable.value, variable.is_build)
    return changes


def _payload(row: models.Instance, deployment: models.Deployment | None) -> InstancePayload:
    return InstancePayload(
        instance=Instance.of(row), deployment=None if deployment is None else shown(deployment)
    )
