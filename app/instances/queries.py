"""Every SELECT of instances, their variables, and what they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import SEALED_OVERHEAD
from app.db import WriteSession
from app.errors import NotFound
from app.instances.plan import Desired
from app.models import (
    TERMINAL_STATUSES,
    App,
    Build,
    BuildStatus,
    Deployment,
    DeploymentStatus,
    Environment,
    EnvVar,
    Instance,
    Release,
)

UNFINISHED = tuple(status for status in DeploymentStatus if status not in TERMINAL_STATUSES)


async def of_app(session: AsyncSession, app_id: str) -> Sequence[tuple[Instance, Environment]]:
    """An app's instances: the default environment's first, then by slug."""
    statement = (
        select(Instance, Environment)
        .join(Environment, Instance.environment_id == Environment.id)
        .where(Instance.app_id == app_id, Environment.deleted_at.is_(None))
        .order_by(Environment.is_default.desc(), Environment.slug)
    )
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]


async def lock(session: WriteSession, instance_id: str) -> Instance:
    """The instance as it is now; changes of its variables and scale take turns."""
    found = await session.get(
        Instance, instance_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if found is None:
        raise NotFound("The instance was removed meanwhile.")
    return found


async def variables(session: AsyncSession, instance_id: str) -> Sequence[EnvVar]:
    """By name."""
    statement = select(EnvVar).where(EnvVar.instance_id == instance_id).order_by(EnvVar.name)
    return (await session.scalars(statement)).all()


async def value_sizes(session: AsyncSession, instance_id: str) -> dict[str, int]:
    """Bytes of each value, known from its ciphertext without opening it."""
    statement = select(EnvVar.name, func.octet_length(EnvVar.ciphertext) - SEALED_OVERHEAD).where(
        EnvVar.instance_id == instance_id
    )
    return {row[0]: row[1] for row in (await session.execute(statement)).all()}


async def desired(session: AsyncSession, instance: Instance) -> Desired:
    digests = select(EnvVar.name, EnvVar.digest).where(EnvVar.instance_id == instance.id)
    port = await session.scalar(select(App.container_port).where(App.id == instance.app_id))
    return Desired(
        digests={row[0]: row[1] for row in (await session.execute(digests)).all()},
        replicas=instance.replicas,
        cpu_millis=instance.cpu_millis,
        memory_mb=instance.memory_mb,
        container_port=port or 0,
    )


async def released(session: AsyncSession, instance: Instance) -> Desired | None:
    """What the current release froze; None when there is none."""
    if instance.current_release_id is None:
        return None
    release = await session.get(Release, instance.current_release_id)
    if release is None:
        return None
    return Desired(
        digests=release.env_digests,
        replicas=release.replicas,
        cpu_millis=release.cpu_millis,
        memory_mb=release.memory_mb,
        container_port=release.container_port,
    )


@dataclass(frozen=True)
class CodeInPlace:
    """The code that a change of configuration is deployed with."""

    build_id: str | None
    """None while it is not built: whoever deploys the same commit shares the build."""
    commit_sha: str | None
    ref: str | None
    commit_message: str | None
    unfinished: bool
    """It is still being rolled out."""


async def code_in_place(session: AsyncSession, instance: Instance) -> CodeInPlace | None:
    """The newest unfinished deployment's code, or else the current release's; None without either.

    The unfinished one comes first: a variable set while a push is being rolled out must not bring the
    older code back.
    """
    statement = (
        select(Deployment, Build.status)
        .outerjoin(Build, Build.id == Deployment.build_id)
        .where(
            Deployment.instance_id == instance.id,
            Deployment.status.in_(UNFINISHED),
            Deployment.cancel_requested_at.is_(None),
        )
        .order_by(Deployment.number.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is not None:
        unfinished, status = row[0], row[1]
        built = status is BuildStatus.SUCCEEDED or unfinished.commit_sha is None
        return CodeInPlace(
            unfinished.build_id if built else None,
            unfinished.commit_sha,
            unfinished.ref,
            unfinished.commit_message,
            unfinished=True,
        )
    return await _released_code(session, instance)


async def _released_code(session: AsyncSession, instance: Instance) -> CodeInPlace | None:
    statement = (
        select(Build.id, Build.commit_sha, Deployment.ref, Deployment.commit_message)
        .join(Release, Release.build_id == Build.id)
        .outerjoin(Deployment, Deployment.release_id == Release.id)
        .where(Release.id == instance.current_release_id)
        .order_by(Deployment.number.desc().nulls_last())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return CodeInPlace(row[0], row[1], row[2], row[3], unfinished=False)
