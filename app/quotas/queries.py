"""Every SELECT of quotas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import App, Build, BuildStatus, Environment, Instance, Project, Quota
from app.quotas.plan import DEFAULT, Limits, Usage

_LOCK = 0x7061_0003
"""With the organization's hash, an advisory lock: who grows waits for who is growing."""


async def limits_of(session: AsyncSession, organization_id: str) -> Limits:
    """What holds for the organization: its own limits, else the default's."""
    return (await limits(session, [organization_id]))[organization_id]


async def limits(session: AsyncSession, organization_ids: Sequence[str]) -> Mapping[str, Limits]:
    rows = await session.scalars(
        select(Quota).where(Quota.holder.in_([*organization_ids, DEFAULT]))
    )
    found = {row.holder: limits_in(row) for row in rows}
    default = found.get(DEFAULT, Limits())
    return {each: found.get(each, Limits()).or_else(default) for each in organization_ids}


def limits_in(row: Quota) -> Limits:
    return Limits(
        apps=row.apps,
        replicas=row.replicas,
        cpu_millis=row.cpu_millis,
        memory_mb=row.memory_mb,
        concurrent_builds=row.concurrent_builds,
    )


async def usage_of(session: AsyncSession, organization_id: str) -> Usage:
    return (await usage(session, [organization_id]))[organization_id]


async def usage(session: AsyncSession, organization_ids: Sequence[str]) -> Mapping[str, Usage]:
    live = Project.organization_id.in_(organization_ids) & Project.deleted_at.is_(None)
    apps = (
        select(Project.organization_id, func.count())
        .join(App, App.project_id == Project.id)
        .where(live, App.deleted_at.is_(None))
        .group_by(Project.organization_id)
    )
    sums = (
        select(
            Project.organization_id,
            func.sum(Instance.replicas),
            func.sum(Instance.replicas * Instance.cpu_millis),
            func.sum(Instance.replicas * Instance.memory_mb),
        )
        .select_from(Instance)
        .join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .where(live, App.deleted_at.is_(None), Environment.deleted_at.is_(None))
        .group_by(Project.organization_id)
    )
    counted = {row[0]: row[1] for row in await session.execute(apps)}
    summed = {each: tuple(rest) for each, *rest in await session.execute(sums)}
    return {
        each: Usage(counted.get(each, 0), *summed.get(each, (0, 0, 0))) for each in organization_ids
    }


async def lock(session: AsyncSession, organization_id: str) -> None:
    """Until the transaction ends, nobody else in the organization grows."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(organization_id))))


async def builds_running(session: AsyncSession, organization_id: str) -> int:
    return (await running(session, [organization_id]))[organization_id]


async def running(session: AsyncSession, organization_ids: Sequence[str]) -> Mapping[str, int]:
    """Builds that run now."""
    statement = (
        select(Project.organization_id, func.count())
        .join(App, App.project_id == Project.id)
        .join(Build, Build.app_id == App.id)
        .where(Project.organization_id.in_(organization_ids), Build.status == BuildStatus.RUNNING)
        .group_by(Project.organization_id)
    )
    found = {row[0]: row[1] for row in await session.execute(statement)}
    return {each: found.get(each, 0) for each in organization_ids}


@dataclass(frozen=True)
class Standing:
    limits: Limits
    usage: Usage
    building: int


async def standing(
    session: AsyncSession, organization_ids: Sequence[str], _: object = None
) -> Mapping[str, Standing]:
    """Where each organization stands."""
    may = await limits(session, organization_ids)
    has = await usage(session, organization_ids)
    builds = await running(session, organization_ids)
    return {each: Standing(may[each], has[each], builds[each]) for each in organization_ids}
