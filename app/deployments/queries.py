"""Every SELECT of deployments for the APIs. What the reconciler reads is in ``state``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import (
    TERMINAL_STATUSES,
    Build,
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    Instance,
    Release,
)

UNFINISHED = tuple(status for status in DeploymentStatus if status not in TERMINAL_STATUSES)
_PHASES = {phase: place for place, phase in enumerate(DeploymentPhase)}


async def of_instance(
    session: AsyncSession,
    instance_id: str,
    *,
    limit: int,
    before_number: int | None = None,
    statuses: Sequence[DeploymentStatus] = (),
) -> Sequence[Deployment]:
    """Newest first; ``before_number`` pages on."""
    statement = (
        select(Deployment)
        .where(Deployment.instance_id == instance_id)
        .order_by(Deployment.number.desc())
        .limit(limit)
    )
    if before_number is not None:
        statement = statement.where(Deployment.number < before_number)
    if statuses:
        statement = statement.where(Deployment.status.in_(statuses))
    return (await session.scalars(statement)).all()


async def current(session: AsyncSession, instance_ids: Sequence[str]) -> dict[str, Deployment]:
    """By instance id: the deployment whose release runs. Those without one are left out."""
    statement = (
        select(Deployment)
        .join(Instance, Instance.current_release_id == Deployment.release_id)
        .where(Instance.id.in_(instance_ids))
    )
    found = (await session.scalars(statement)).all()
    return {deployment.instance_id: deployment for deployment in found}


async def unfinished(session: AsyncSession, instance_ids: Sequence[str]) -> dict[str, Deployment]:
    """By instance id: the newest deployment that has not ended."""
    statement = (
        select(Deployment)
        .where(Deployment.instance_id.in_(instance_ids), Deployment.status.in_(UNFINISHED))
        .order_by(Deployment.number)
    )
    return {found.instance_id: found for found in (await session.scalars(statement)).all()}


async def steps(
    session: AsyncSession, deployment_ids: Sequence[str]
) -> dict[str, Sequence[DeploymentStep]]:
    """By deployment id, in the order of the phases; only phases that were reached or skipped."""
    statement = select(DeploymentStep).where(DeploymentStep.deployment_id.in_(deployment_ids))
    found: dict[str, list[DeploymentStep]] = {identifier: [] for identifier in deployment_ids}
    for step in (await session.scalars(statement)).all():
        found[step.deployment_id].append(step)
    for listed in found.values():
        listed.sort(key=lambda step: _PHASES[step.phase])
    return dict(found)


@dataclass(frozen=True)
class Code:
    """What a deployment can be made of."""

    commit_sha: str
    ref: str | None
    commit_message: str | None


async def released_code(session: AsyncSession, instance: Instance) -> Code | None:
    """What runs; None when nothing was ever deployed."""
    statement = (
        select(Build.commit_sha, Deployment.ref, Deployment.commit_message)
        .select_from(Release)
        .join(Build, Release.build_id == Build.id)
        .outerjoin(Deployment, Deployment.release_id == Release.id)
        .where(Release.id == instance.current_release_id)
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return Code(row[0], row[1], row[2]) if row is not None else None


def can_cancel(deployment: Deployment) -> bool:
    return deployment.status not in TERMINAL_STATUSES and deployment.cancel_requested_at is None


def can_roll_back_to(deployment: Deployment, instance: Instance) -> bool:
    return (
        deployment.status is DeploymentStatus.SUCCEEDED
        and deployment.release_id is not None
        and deployment.release_id != instance.current_release_id
    )


def can_promote(deployment: Deployment) -> bool:
    return deployment.status is DeploymentStatus.SUCCEEDED and deployment.release_id is not None
