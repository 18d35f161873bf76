"""What runs against what should: every job and service of the platform against every instance, in one pass.

It repairs nothing of an instance itself: it wakes the instance's reconciler, which looks again under its
lease. What belongs to no instance any more it removes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import case, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database
from app.deployments.queries import UNFINISHED
from app.instances.jobs import job_ref
from app.models import App, Deployment, Environment, Instance, Organization, Platform, Project
from app.ports.ingress import Ingress
from app.ports.scheduler import JobRef, JobSummary, Scheduler
from app.reconcile.lease import HeldLease
from app.rollouts.state import Fate
from jobs.render import service_name_of

log = logging.getLogger(__name__)

_EVERYTHING = "all"


@dataclass(frozen=True)
class Expected:
    """One instance, as far as drift is concerned."""

    instance_id: str
    ref: JobRef
    fate: Fate
    release_id: str | None
    rolling_out: bool


@dataclass(frozen=True)
class Drift:
    instances: tuple[str, ...]
    """To be looked at: they run something else than they should, or nothing."""
    orphans: tuple[JobRef, ...]
    """Jobs whose instance is gone."""
    services: tuple[str, ...]
    """Services that belong to neither a job nor an instance."""


def find_drift(
    platform: str,
    expected: Sequence[Expected],
    jobs: Sequence[JobSummary],
    services: Collection[str],
) -> Drift:
    """Pure. A job of another platform on the same engine is none of ours, even with no instance.

    ``jobs`` and ``services`` must have been read before ``expected``: rows come first and go last.
    """
    by_ref = {job.ref: job for job in jobs}
    known = {each.instance_id for each in expected}
    orphans = tuple(
        job.ref
        for job in jobs
        if job.instance_id not in known and job.meta.get("platform") == platform
    )
    owned = {_service(each.ref) for each in expected} | {_service(job.ref) for job in jobs}
    return Drift(
        instances=tuple(e.instance_id for e in expected if _drifted(e, by_ref.get(e.ref))),
        orphans=orphans,
        services=tuple(sorted(set(services) - owned)),
    )


def _drifted(expected: Expected, job: JobSummary | None) -> bool:
    if expected.rolling_out:
        return False
    running = job is not None and not job.stopped
    if expected.fate is Fate.REMOVED:
        return True
    if expected.fate is Fate.STOPPED:
        return running
    if expected.release_id is None:
        return job is not None
    return not running or (job is not None and job.release_id != expected.release_id)


def _service(ref: JobRef) -> str:
    return service_name_of(ref.namespace, ref.id)


class DriftReconciler:
    """One key for all. Each worker asks each period; the lease lets one at a time."""

    kind = "drift"
    concurrency = 1

    def __init__(
        self,
        database: Database,
        scheduler: Scheduler,
        ingress: Ingress,
        *,
        every_seconds: float = 30.0,
    ) -> None:
        self.period = every_seconds
        self._database = database
        self._scheduler = scheduler
        self._ingress = ingress
        self._last = float("-inf")

    async def pending(self) -> Sequence[str]:
        due = time.monotonic() - self._last >= self.period * 0.9
        return [_EVERYTHING] if due else []

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        drift = await self.look()
        if drift.instances:
            async with self._database.write_transaction() as session:
                await lease.guard(session)
                for instance_id in drift.instances:
                    await session.wake("instance", instance_id)
        for ref in drift.orphans:
            log.warning("the job %s belongs to no instance: removing it", ref)
            await self._remove(ref, lease)
        for service in drift.services:
            log.warning("the service %s belongs to no job: removing it", service)
            lease.check()
            await self._ingress.remove(service)
        self._last = time.monotonic()

    async def look(self) -> Drift:
        """Read everything, change nothing."""
        jobs = await self._scheduler.list_jobs()
        services = await self._ingress.services()
        async with self._database.read_session() as session:
            platform = await session.scalar(select(Platform.id))
            expected = await _expected(session)
        return find_drift(platform or "", expected, jobs, services)

    async def _remove(self, ref: JobRef, lease: HeldLease) -> None:
        lease.check()
        await self._scheduler.stop(ref, purge=True)
        for path in await self._scheduler.list_secrets(ref):
            await self._scheduler.delete_secrets(ref, path)
        await self._ingress.remove(_service(ref))


_ROLLING_OUT = exists(
    select(Deployment.id)
    .where(Deployment.instance_id == Instance.id, Deployment.status.in_(UNFINISHED))
    .correlate(Instance)
)
_GONE = or_(
    App.deleted_at.is_not(None),
    Environment.deleted_at.is_not(None),
    Project.purge_requested_at.is_not(None),
)
_EXPECTED = (
    select(
        Instance.id,
        Instance.current_release_id,
        Organization.slug,
        Project.slug,
        App.slug,
        Environment.slug,
        case(
            (_GONE, Fate.REMOVED.value),
            (Project.deleted_at.is_not(None), Fate.STOPPED.value),
            else_=Fate.LIVE.value,
        ),
        _ROLLING_OUT,
    )
    .join(App, Instance.app_id == App.id)
    .join(Environment, Instance.environment_id == Environment.id)
    .join(Project, App.project_id == Project.id)
    .join(Organization, Project.organization_id == Organization.id)
)


async def _expected(session: AsyncSession) -> list[Expected]:
    """Columns and not objects: this is one row for each instance there is."""
    return [
        Expected(
            instance_id=instance_id,
            ref=job_ref(organization, project, app, environment),
            fate=Fate(fate),
            release_id=release_id,
            rolling_out=rolling_out,
        )
        for instance_id, release_id, organization, project, app, environment, fate, rolling_out in (
            await session.execute(_EXPECTED)
        ).all()
    ]
