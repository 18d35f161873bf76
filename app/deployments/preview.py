"""What a deployment would change, and whether it would find room: asked before anything is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import place_of
from app.access.permissions import Permission, require
from app.db import Database
from app.errors import InvalidInput, NotFound
from app.instances import plan as instance_plan
from app.instances import queries as instance_queries
from app.instances.plan import Desired, PendingChanges
from app.models import Build, BuildKind, BuildStatus, Deployment, Instance, Release
from app.ports.builder import SlugStore
from app.ports.scheduler import JobPlan, Scheduler
from app.rollouts import failures, rendering
from app.rollouts.state import Frozen, Loaded, load


@dataclass(frozen=True)
class CodeChange:
    """None on a side where there is nothing, or where the commit is not known yet."""

    before: str | None
    after: str | None


@dataclass(frozen=True)
class DeploymentPlan:
    code: CodeChange
    changes: PendingChanges
    """Variables by name, and scale; no value is in it."""
    job_changes: Sequence[str]
    """What the engine would change in the job, in its own words."""
    fits: bool
    reasons: Sequence[str]
    """Why not, e.g. ``memory: no node has 64000 MB free``."""


async def deployment_plan(
    database: Database,
    actor: Actor,
    instance: Instance,
    scheduler: Scheduler,
    slugs: SlugStore,
    *,
    deployment: Deployment | None = None,
) -> DeploymentPlan:
    """What deploying now would do: with the code in place, or with ``deployment``'s (a rollback, a promotion).

    No row is written; the engine only gets the organization's namespace, which planning needs. A commit
    that was never built is planned with the build that runs: room depends on the scale only.
    """
    async with database.read_session() as session:
        place = await place_of(session, instance)
        await require(session, actor, place.scope, Permission.READ)
        loaded = await load(session, instance.id)
        if loaded is None:
            raise NotFound("The instance was removed meanwhile.")
        wanted = await _wanted(session, instance, deployment)
        released = await instance_queries.released(session, instance)
        build = await _build_to_deploy(session, loaded, deployment)
    if build.app_id != loaded.app.id:
        raise InvalidInput(
            "A deployment can only be promoted within its app.", field="deploymentId"
        )
    planned = await _plan(loaded, _next_release(loaded, build, wanted), scheduler, slugs)
    return DeploymentPlan(
        code=CodeChange(
            before=loaded.current.build.commit_sha if loaded.current else None,
            after=build.commit_sha or None,
        ),
        changes=instance_plan.pending(wanted, released),
        job_changes=planned.changes,
        fits=planned.fits,
        reasons=planned.reasons,
    )


async def _plan(loaded: Loaded, frozen: Frozen, scheduler: Scheduler, slugs: SlugStore) -> JobPlan:
    capabilities = await scheduler.capabilities()
    if frozen.build.kind is BuildKind.IMAGE and not capabilities.images:
        failure = failures.images_unsupported()
        return JobPlan([], fits=False, reasons=[f"{failure.message} {failure.hint}"])
    await scheduler.ensure_namespace(loaded.state.ref.namespace)
    job = rendering.job_for(loaded, frozen, slugs=slugs, capabilities=capabilities)
    return await scheduler.plan(job)


async def _wanted(
    session: AsyncSession, instance: Instance, deployment: Deployment | None
) -> Desired:
    """What is desired; for a rollback, what that deployment ran with."""
    release_id = deployment.release_id if deployment is not None else None
    if deployment is not None and release_id and deployment.instance_id == instance.id:
        release = await session.get(Release, release_id)
        if release is not None:
            return Desired(
                digests=release.env_digests,
                replicas=release.replicas,
                cpu_millis=release.cpu_millis,
                memory_mb=release.memory_mb,
                container_port=release.container_port,
            )
    return await instance_queries.desired(session, instance)


async def _build_to_deploy(
    session: AsyncSession, loaded: Loaded, deployment: Deployment | None
) -> Build:
    """The build that would be released; one that stands for it when there is none yet."""
    build_id = deployment.build_id if deployment is not None else None
    if build_id is None:
        code = await instance_queries.code_in_place(session, loaded.instance)
        build_id = code.build_id if code is not None else None
    build = await session.get(Build, build_id) if build_id is not None else None
    if build is not None and build.status is BuildStatus.SUCCEEDED:
        return build
    if loaded.current is not None:
        return loaded.current.build
    return await _newest_build(session, loaded) or Build(
        id="",
        app_id=loaded.app.id,
        commit_sha="",
        kind=BuildKind.SLUG,
        artifact="0" * 64,
        processes={},
    )


async def _newest_build(session: AsyncSession, loaded: Loaded) -> Build | None:
    return await session.scalar(
        select(Build)
        .where(Build.app_id == loaded.app.id, Build.status == BuildStatus.SUCCEEDED)
        .order_by(Build.created_at.desc())
        .limit(1)
    )


def _next_release(loaded: Loaded, build: Build, wanted: Desired) -> Frozen:
    """As ``releases.freeze`` would make it, but of no row and with no variables."""
    instance = loaded.instance
    release = Release(
        id="rel_planned",
        instance_id=instance.id,
        number=instance.release_count + 1,
        build_id=build.id,
        replicas=wanted.replicas,
        cpu_millis=wanted.cpu_millis,
        memory_mb=wanted.memory_mb,
        container_port=wanted.container_port,
    )
    return Frozen(release, build)
