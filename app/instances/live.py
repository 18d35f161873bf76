"""What the engine and the router say of an instance at this moment, for GraphQL.

One call to them an instance, at most a few at a time: neither can be asked about several jobs at once.
Both may be away; then the database's half of an answer is still given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import strawberry

from app import models
from app.deployments.queries import UNFINISHED
from app.errors import ExternalFailure
from app.graphql.connection import Listing, Page
from app.graphql.context import Context
from app.instances.jobs import job_ref
from app.instances.status import InstanceStatus, status_of
from app.ports.scheduler import Allocation, AllocationState, JobRef
from jobs.render import service_name_of


@strawberry.type(description="One running copy: a container, or a supervised process.")
class Container:
    container_id: str = strawberry.field(description="The engine's; a line of its log names it.")
    name: str
    state: AllocationState
    healthy: bool = strawberry.field(description="Its check passes: it is sent requests.")
    restarts: int
    started_at: datetime | None
    exit_code: int | None
    oom_killed: bool
    message: str = strawberry.field(description="The engine's last word about it.")
    release_id: strawberry.Private[str]


async def status(
    context: Context, instance: models.Instance, deployments: Listing
) -> InstanceStatus:
    app = await context.loaders.by_id(models.App, instance.app_id)
    project, release, unfinished = await asyncio.gather(
        context.loaders.by_id(models.Project, app.project_id),
        context.loaders.find(models.Release, id=instance.current_release_id),
        context.loaders.page(deployments, instance.id, frozenset(UNFINISHED), Page(limit=1)),
    )
    deleted, deploying = project.deleted_at is not None, bool(unfinished.rows)
    replicas = None if release is None else release.replicas
    healthy = None
    if replicas and not (deleted or deploying):
        healthy = await _healthy(context, instance)
    return status_of(deleted=deleted, deploying=deploying, replicas=replicas, healthy=healthy)


async def containers(context: Context, instance: models.Instance) -> list[Container] | None:
    """None when the engine does not answer."""
    ref = await _job_of(context, instance)
    try:
        async with context.engine_calls:
            observed = await context.container.scheduler.observe(ref)
    except ExternalFailure:
        return None
    return _containers(observed.allocations)


def _containers(allocations: Sequence[Allocation]) -> list[Container]:
    return [
        Container(
            container_id=each.id,
            name=each.name,
            state=each.state,
            healthy=each.healthy,
            restarts=each.restarts,
            started_at=each.started_at,
            exit_code=each.exit_code,
            oom_killed=each.oom_killed,
            message=each.message,
            release_id=each.release_id,
        )
        for each in sorted(allocations, key=lambda each: (each.release_id, each.name, each.id))
    ]


async def _healthy(context: Context, instance: models.Instance) -> int | None:
    ref = await _job_of(context, instance)
    try:
        async with context.engine_calls:
            routes = await context.container.ingress.routes(service_name_of(ref.namespace, ref.id))
    except ExternalFailure:
        return None
    return sum(route.healthy for route in routes)


async def _job_of(context: Context, instance: models.Instance) -> JobRef:
    app, environment = await asyncio.gather(
        context.loaders.by_id(models.App, instance.app_id),
        context.loaders.by_id(models.Environment, instance.environment_id),
    )
    project = await context.loaders.by_id(models.Project, app.project_id)
    organization = await context.loaders.by_id(models.Organization, project.organization_id)
    return job_ref(organization.slug, project.slug, app.slug, environment.slug)
