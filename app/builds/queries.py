"""Every SELECT of builds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.models import (
    TERMINAL_STATUSES,
    App,
    Build,
    BuildLogLine,
    BuildStatus,
    Deployment,
    Instance,
    Lease,
    Organization,
    Platform,
    Project,
    Release,
)

LIVE = (BuildStatus.QUEUED, BuildStatus.RUNNING)
_ARTIFACTS_LOCK = 0x70616173_0001
"""Any number that no other advisory lock of the platform uses."""


async def log_lines(
    session: AsyncSession, build_id: str, *, after: int, limit: int
) -> Sequence[BuildLogLine]:
    """Lines numbered above ``after``, oldest first."""
    statement = (
        select(BuildLogLine)
        .where(BuildLogLine.build_id == build_id, BuildLogLine.number > after)
        .order_by(BuildLogLine.number)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


@dataclass(frozen=True)
class BuildJob:
    """A build and the names around it, read at once."""

    platform: str
    build: Build
    app_name: str
    """``acme/storefront/web``"""
    organization_id: str
    repository_key: str


async def latest_attempt(
    session: AsyncSession, app_id: str, commit_sha: str, inputs_digest: str
) -> Build | None:
    """The newest build of these inputs, locked so that it is neither cancelled nor pruned meanwhile."""
    statement = (
        select(Build)
        .where(
            Build.app_id == app_id,
            Build.commit_sha == commit_sha,
            Build.inputs_digest == inputs_digest,
        )
        .order_by(Build.attempt.desc())
        .limit(1)
        .with_for_update(read=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    found: Build | None = await session.scalar(statement)
    return found


async def locked(session: AsyncSession, build_id: str) -> Build | None:
    statement = (
        select(Build)
        .where(Build.id == build_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found: Build | None = await session.scalar(statement)
    return found


async def job(session: AsyncSession, build_id: str) -> BuildJob | None:
    statement = (
        select(Build, App, Project, Organization.slug, select(Platform.id).scalar_subquery())
        .join(App, Build.app_id == App.id)
        .join(Project, App.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
        .where(Build.id == build_id)
    )
    row = (await session.execute(statement)).first()
    if row is None:
        return None
    build, app, project, organization, platform = row
    name = f"{organization}/{project.slug}/{app.slug}"
    return BuildJob(platform, build, name, project.organization_id, app.repository_key)


async def platform(session: AsyncSession) -> str:
    """The id of this database's platform."""
    return (await session.scalars(select(Platform.id))).one()


async def status_of(session: AsyncSession, build_id: str) -> BuildStatus | None:
    found: BuildStatus | None = await session.scalar(
        select(Build.status).where(Build.id == build_id)
    )
    return found


async def with_work(session: AsyncSession) -> Sequence[str]:
    """Builds that are queued, or that nobody acts on any more although they run; oldest first."""
    held = exists().where(
        Lease.kind == "build", Lease.key == Build.id, Lease.expires_at > func.clock_timestamp()
    )
    statement = (
        select(Build.id).where(Build.status.in_(LIVE), ~held).order_by(Build.created_at, Build.id)
    )
    return (await session.scalars(statement)).all()


async def waiting_instances(session: AsyncSession, build_id: str) -> Sequence[str]:
    """Instances with an unfinished deployment of this build."""
    statement = (
        select(Deployment.instance_id)
        .where(Deployment.build_id == build_id, Deployment.status.not_in(TERMINAL_STATUSES))
        .distinct()
    )
    return (await session.scalars(statement)).all()


async def last_line_number(session: AsyncSession, build_id: str) -> int:
    found: int | None = await session.scalar(
        select(func.max(BuildLogLine.number)).where(BuildLogLine.build_id == build_id)
    )
    return found or 0


def _kept(keep: int) -> ColumnElement[bool]:
    """Whether a deployment, a running release, a recent one or the next redeploy needs the build."""
    unfinished = exists().where(
        Deployment.build_id == Build.id, Deployment.status.not_in(TERMINAL_STATUSES)
    )
    running = exists().where(
        Release.build_id == Build.id, Instance.current_release_id == Release.id
    )
    recent = exists().where(
        Release.build_id == Build.id,
        Instance.id == Release.instance_id,
        Release.number > Instance.release_count - keep,
    )
    newer = aliased(Build)
    newest = ~exists().where(
        newer.app_id == Build.app_id,
        newer.status == BuildStatus.SUCCEEDED,
        newer.artifact.is_not(None),
        newer.finished_at > Build.finished_at,
    )
    return unfinished | running | recent | newest


async def prunable(session: AsyncSession, *, keep: int) -> Sequence[str]:
    """Builds whose artifact nothing needs any more."""
    statement = select(Build.id).where(
        Build.status == BuildStatus.SUCCEEDED, Build.artifact.is_not(None), ~_kept(keep)
    )
    return (await session.scalars(statement)).all()


async def is_kept(session: AsyncSession, build_id: str, *, keep: int) -> bool:
    found = await session.scalar(select(_kept(keep)).where(Build.id == build_id))
    return bool(found)


async def artifact_used_elsewhere(session: AsyncSession, artifact: str, build_id: str) -> bool:
    found = await session.scalar(
        select(exists().where(Build.artifact == artifact, Build.id != build_id))
    )
    return bool(found)


async def known_artifacts(session: AsyncSession) -> set[str]:
    statement = select(Build.artifact).where(Build.artifact.is_not(None))
    return {artifact for artifact in await session.scalars(statement) if artifact is not None}


async def unfinished_among(session: AsyncSession, build_ids: Collection[str]) -> set[str]:
    statement = select(Build.id).where(Build.id.in_(build_ids), Build.status.in_(LIVE))
    return set(await session.scalars(statement))


async def lock_artifacts(session: AsyncSession) -> None:
    """Until the transaction ends, nobody else records or removes an artifact.

    One tree built twice is one slug: without this, one build could be recorded while the other's
    artifact, the same file, is removed.
    """
    await session.execute(select(func.pg_advisory_xact_lock(_ARTIFACTS_LOCK)))
