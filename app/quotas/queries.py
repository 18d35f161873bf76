"""Every SELECT of quotas."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import App, Build, BuildStatus, Environment, Instance, Project, Quota
from app.quotas.plan import DEFAULT, Limits, Usage

_LOCK = 0x7061_0003
"""With the organization's hash, an advisory lock: who grows waits for who is growing."""


async def limits_of(session: AsyncSession, organization_id: str) -> Limits:
    """What holds for the organization: its own limits, else the default's."""
    rows = await session.scalars(select(Quota).where(Quota.holder.in_((organization_id, DEFAULT))))
    found = {row.holder: limits_in(row) for row in rows}
    return found.get(organization_id, Limits()).or_else(found.get(DEFAULT, Limits()))


def limits_in(row: Quota) -> Limits:
    return Limits(
        apps=row.apps,
        replicas=row.replicas,
        cpu_millis=row.cpu_millis,
        memory_mb=row.memory_mb,
        concurrent_builds=row.concurrent_builds,
    )


async def usage_of(session: AsyncSession, organization_id: str) -> Usage:
    live = (Project.organization_id == organization_id) & Project.deleted_at.is_(None)
    apps = (
        select(func.count())
        .select_from(App)
        .join(Project, App.project_id == Project.id)
        .where(live, App.deleted_at.is_(None))
        .scalar_subquery()
    )
    statement = (
        select(
            apps,
            func.coalesce(func.sum(Instance.replicas), 0),
            func.coalesce(func.sum(Instance.replicas * Instance.cpu_millis), 0),
            func.coalesce(func.sum(Instance.replicas * Instance.memory_mb), 0),
        )
        .select_from(Instance)
        .join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .where(live, App.deleted_at.is_(None), Environment.deleted_at.is_(None))
    )
    return Usage(*(await session.execute(statement)).one())


async def lock(session: AsyncSession, organization_id: str) -> None:
    """Until the transaction ends, nobody else in the organization grows."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(organization_id))))


async def builds_running(session: AsyncSession, organization_id: str) -> int:
    statement = (
        select(func.count())
        .select_from(Build)
        .join(App, Build.app_id == App.id)
        .join(Project, App.project_id == Project.id)
        .where(Project.organization_id == organization_id, Build.status == BuildStatus.RUNNING)
    )
    return (await session.execute(statement)).scalar_one()
