"""What the planner knows of one instance: frozen values, read in one go.

``load`` also returns the rows that they came from, for the executor to render and write with.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import exists, extract, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.deployments.queries import UNFINISHED
from app.instances.jobs import job_ref
from app.models import (
    App,
    Build,
    BuildStatus,
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    Environment,
    Instance,
    Organization,
    Platform,
    Project,
    Release,
)
from app.ports.scheduler import JobRef


class Fate(enum.StrEnum):
    """What the rows above the instance say of it."""

    LIVE = "live"
    STOPPED = "stopped"
    """Its project is deleted, and may be restored."""
    REMOVED = "removed"
    """Its app or environment is deleted, or its project is being purged: it goes for good."""


@dataclass(frozen=True)
class ReleaseView:
    id: str
    number: int
    replicas: int
    memory_mb: int = 256
    container_port: int = 8080
    is_image: bool = False


@dataclass(frozen=True)
class BuildView:
    id: str
    status: BuildStatus
    is_pruned: bool = False
    """It succeeded, and its artifact has been removed since."""


@dataclass(frozen=True)
class DeploymentView:
    id: str
    number: int
    status: DeploymentStatus
    build: BuildView | None = None
    release: ReleaseView | None = None
    cancel_requested: bool = False
    submitted: bool = False
    """Its release was registered, and we know so."""
    failed: bool = False
    """Why is recorded; what ran before may still have to be put back."""
    healthy: int = 0
    since: Mapping[DeploymentPhase, datetime] = field(default_factory=dict)
    """When each phase began."""


@dataclass(frozen=True)
class State:
    ref: JobRef
    fate: Fate
    now: datetime
    """By the database's clock, as are all times here."""
    current: ReleaseView | None = None
    """What runs, and is what to put back."""
    unfinished: tuple[DeploymentView, ...] = ()
    """Newest first."""


@dataclass(frozen=True)
class Frozen:
    """A release with its build, as rows."""

    release: Release
    build: Build


@dataclass(frozen=True)
class Loaded:
    state: State
    organization: Organization
    project: Project
    environment: Environment
    app: App
    instance: Instance
    current: Frozen | None
    deployments: Mapping[str, Deployment]
    releases: Mapping[str, Frozen]
    """By deployment id."""
    platform: str


async def load(session: AsyncSession, instance_id: str) -> Loaded | None:
    """None when the instance is gone."""
    current_build = aliased(Build)
    statement = (
        select(
            Instance, App, Environment, Project, Organization, Release, current_build,
            func.clock_timestamp(), select(Platform.id).scalar_subquery(),
        )
        .join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
        .outerjoin(Release, Instance.current_release_id == Release.id)
        .outerjoin(current_build, Release.build_id == current_build.id)
        .where(Instance.id == instance_id)
    )  # fmt: skip
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    instance, app, environment, project, organization, release, build, now, platform = row
    current = Frozen(release, build) if release is not None else None
    views, deployments, releases = await _unfinished(session, instance_id)
    state = State(
        ref=job_ref(organization.slug, project.slug, app.slug, environment.slug),
        fate=fate_of(project, app, environment),
        now=now,
        current=_release_view(current.release, current.build) if current else None,
        unfinished=views,
    )
    return Loaded(
        state, organization, project, environment, app, instance, current, deployments, releases,
        platform,
    )  # fmt: skip


def fate_of(project: Project, app: App, environment: Environment) -> Fate:
    gone = (app.deleted_at, environment.deleted_at, project.purge_requested_at)
    if any(when is not None for when in gone):
        return Fate.REMOVED
    return Fate.LIVE if project.deleted_at is None else Fate.STOPPED


async def _unfinished(
    session: AsyncSession, instance_id: str
) -> tuple[tuple[DeploymentView, ...], dict[str, Deployment], dict[str, Frozen]]:
    statement = (
        select(Deployment, Build, Release, _STARTED_AT)
        .outerjoin(Build, Deployment.build_id == Build.id)
        .outerjoin(Release, Deployment.release_id == Release.id)
        .where(Deployment.instance_id == instance_id, Deployment.status.in_(UNFINISHED))
        .order_by(Deployment.number.desc())
    )
    rows = (await session.execute(statement)).all()
    views = tuple(_view(*row) for row in rows)
    deployments = {row[0].id: row[0] for row in rows}
    releases = {row[0].id: Frozen(row[2], row[1]) for row in rows if row[2] is not None}
    return views, deployments, releases


_STARTED_AT = (
    select(func.jsonb_object_agg(DeploymentStep.phase, extract("epoch", DeploymentStep.started_at)))
    .where(DeploymentStep.deployment_id == Deployment.id, DeploymentStep.started_at.is_not(None))
    .correlate(Deployment)
    .scalar_subquery()
)
"""Phase to seconds since 1970; null without any."""


def _since(started_at: Mapping[str, float] | None) -> dict[DeploymentPhase, datetime]:
    return {
        DeploymentPhase(phase): datetime.fromtimestamp(seconds, UTC)
        for phase, seconds in (started_at or {}).items()
    }


def _view(
    row: Deployment,
    build: Build | None,
    release: Release | None,
    started_at: Mapping[str, float] | None,
) -> DeploymentView:
    return DeploymentView(
        id=row.id,
        number=row.number,
        status=row.status,
        build=_build_view(build) if build else None,
        release=_release_view(release, build) if release and build else None,
        cancel_requested=row.cancel_requested_at is not None,
        submitted=row.scheduler_index is not None,
        failed=row.failure_code is not None,
        healthy=row.healthy_replicas,
        since=_since(started_at),
    )


def _build_view(build: Build) -> BuildView:
    pruned = build.status is BuildStatus.SUCCEEDED and build.artifact is None
    return BuildView(build.id, build.status, is_pruned=pruned)


def _release_view(release: Release, build: Build) -> ReleaseView:
    return ReleaseView(
        id=release.id,
        number=release.number,
        replicas=release.replicas,
        memory_mb=release.memory_mb,
        container_port=release.container_port,
        is_image=build.kind == "image",
    )


_WAITS_FOR_BUILD = (
    (Deployment.status == DeploymentStatus.BUILDING)
    & Build.status.in_((BuildStatus.QUEUED, BuildStatus.RUNNING))
    & Deployment.cancel_requested_at.is_(None)
    & Project.deleted_at.is_(None)
)
_HAS_WORK = exists(
    select(Deployment.id)
    .outerjoin(Build, Deployment.build_id == Build.id)
    .where(
        Deployment.instance_id == Instance.id,
        Deployment.status.in_(UNFINISHED),
        ~_WAITS_FOR_BUILD.self_group() | Build.id.is_(None),
    )
    .correlate(Instance, Project)
)
_PENDING = (
    select(Instance.id)
    .join(App, Instance.app_id == App.id)
    .join(Environment, Instance.environment_id == Environment.id)
    .join(Project, App.project_id == Project.id)
    .where(
        or_(
            _HAS_WORK,
            App.deleted_at.is_not(None),
            Environment.deleted_at.is_not(None),
            Project.purge_requested_at.is_not(None),
        )
    )
)


async def instances_with_work(session: AsyncSession) -> Sequence[str]:
    """Those with an unfinished deployment that does more than wait for its build, or to be removed."""
    return (await session.scalars(_PENDING)).all()


async def releases_to_keep(session: AsyncSession, instance_id: str) -> set[int]:
    """Numbers of the current release, and of the one before, whose copies may still be draining."""
    succeeded = (
        select(Release.number)
        .join(Deployment, Deployment.release_id == Release.id)
        .where(
            Deployment.instance_id == instance_id,
            Deployment.status == DeploymentStatus.SUCCEEDED,
        )
        .order_by(Deployment.number.desc())
        .limit(2)
    )
    current = (
        select(Release.number)
        .join(Instance, Instance.current_release_id == Release.id)
        .where(Instance.id == instance_id)
    )
    found = [*(await session.scalars(succeeded)).all(), *(await session.scalars(current)).all()]
    return set(found)
