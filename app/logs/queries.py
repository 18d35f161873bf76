"""Every SELECT that collecting logs needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.instances.jobs import instances_by_job
from app.instances.queries import UNFINISHED
from app.models import App, Deployment, Instance, Lease, Organization, Project
from app.ports.scheduler import JobRef
from jobs.render import namespace_of

KIND = "logs"


async def job_of(session: AsyncSession, instance_id: str) -> JobRef | None:
    """None when the instance is gone."""
    found = await instances_by_job(session, Instance.id == instance_id)
    return next(iter(found), None)


async def instances_of(session: AsyncSession, refs: Collection[JobRef]) -> Mapping[JobRef, str]:
    """The ids of the instances that these jobs run, where they are any of ours."""
    namespaces = {ref.namespace for ref in refs}
    slugs = [slug for slug in namespaces if namespace_of(slug) == slug]
    found = await instances_by_job(session, Organization.slug.in_(slugs))
    return {ref: instance_id for ref, instance_id in found.items() if ref in refs}


async def uncollected(session: AsyncSession) -> Sequence[str]:
    """Instances of which something may run, and whose logs no worker collects."""
    held = exists().where(
        Lease.kind == KIND, Lease.key == Instance.id, Lease.expires_at > func.clock_timestamp()
    )
    deploying = exists().where(
        Deployment.instance_id == Instance.id, Deployment.status.in_(UNFINISHED)
    )
    statement = (
        select(Instance.id)
        .join(App, Instance.app_id == App.id)
        .join(Project, App.project_id == Project.id)
        .where(
            Project.deleted_at.is_(None),
            or_(Instance.current_release_id.is_not(None), deploying),
            ~held,
        )
    )
    return (await session.scalars(statement)).all()


async def deployments_of(
    session: AsyncSession, instance_id: str, release_ids: Collection[str]
) -> Mapping[str, str]:
    """Release id to the deployment that made it."""
    statement = select(Deployment.release_id, Deployment.id).where(
        Deployment.instance_id == instance_id,
        tuple_(Deployment.release_id).in_([(release_id,) for release_id in release_ids]),
    )
    return {str(release): deployment for release, deployment in await session.execute(statement)}


async def existing(session: AsyncSession, instance_ids: Collection[str]) -> set[str]:
    statement = select(Instance.id).where(Instance.id.in_(instance_ids))
    return set((await session.scalars(statement)).all())
