"""Variables and scale of an instance: desired here, frozen by the release that a deployment makes.

Each change is a new release and a deployment of it, with the code that is in place. With
``deploy=False`` it is only staged, and goes out with the next deployment or with ``apply``. Before the
first deployment there is nothing to deploy, so that everything is staged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import Place, place_of
from app.access.permissions import Permission, allows, require
from app.audit import log
from app.audit.actions import Action
from app.crypto import SecretBox
from app.db import WriteSession
from app.deployments import service as deployments
from app.errors import NotFound
from app.events import service as events
from app.instances import plan, queries
from app.instances.plan import EnvVarChange, PendingChanges
from app.instances.secrets import digest_of, new_variable, open_value, seal_value
from app.models import Deployment, DeploymentTrigger, EnvVar, EventKind, Instance
from app.quotas.service import growing


@dataclass(frozen=True)
class EnvVarView:
    """A variable as the actor may see it: ``value`` is None without the permission to read values."""

    name: str
    value: str | None
    digest: str
    is_build: bool
    updated_at: datetime


async def list_env_vars(
    session: AsyncSession, actor: Actor, instance: Instance, box: SecretBox
) -> Sequence[EnvVarView]:
    """By name. Values that are shown are told to the audit log first."""
    rows = await queries.variables(session, instance.id)
    return await _views(session, actor, instance, box, rows)


async def get_env_var(
    session: AsyncSession, actor: Actor, instance: Instance, box: SecretBox, name: str
) -> EnvVarView:
    """Raises NotFound."""
    rows = await queries.variables(session, instance.id)
    found = await _views(session, actor, instance, box, [row for row in rows if row.name == name])
    if not found:
        raise _no_such_variable([name])
    return found[0]


async def _views(
    session: AsyncSession,
    actor: Actor,
    instance: Instance,
    box: SecretBox,
    rows: Sequence[EnvVar],
) -> Sequence[EnvVarView]:
    place = await place_of(session, instance)
    await require(session, actor, place.scope, Permission.READ)
    readable = await allows(session, actor, place.scope, Permission.ENV_VARS_READ)
    if readable and rows:
        read = f"Read the values of {_listed([row.name for row in rows])}."
        await log.record(session, actor, Action.ENV_VARS_READ, place, read)
    return [
        EnvVarView(
            name=row.name,
            value=open_value(box, row) if readable else None,
            digest=row.digest,
            is_build=row.is_build,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


async def set_env_vars(
    session: WriteSession,
    actor: Actor,
    instance: Instance,
    box: SecretBox,
    changes: Mapping[str, EnvVarChange],
    *,
    deploy: bool = True,
) -> Deployment | None:
    """Set these and leave the others. None when nothing had to be deployed.

    Raises InvalidInput or LimitReached before anything is stored.
    """
    plan.valid_changes(changes)
    place, instance = await _lock_to_change(session, actor, instance, Permission.ENV_VARS_WRITE)
    sizes = await queries.value_sizes(session, instance.id)
    plan.require_total(sizes | {name: len(c.value.encode()) for name, c in changes.items()})
    changed = await _store(session, instance, box, changes)
    if changed:
        told = f"Set {_listed(changes)}."
        await log.record(session, actor, Action.ENV_VARS_SET, place, told)
    if not changed:
        return None
    said = {"set": sorted(changes), "unset": [], "deployed": deploy}
    await _tell(session, actor, instance, EventKind.VARIABLES_CHANGED, said)
    if not deploy:
        return None
    return await _deploy(session, actor, instance, DeploymentTrigger.CONFIG_CHANGE)


async def _store(
    session: WriteSession, instance: Instance, box: SecretBox, changes: Mapping[str, EnvVarChange]
) -> bool:
    """Whether any row changed."""
    rows = {row.name: row for row in await queries.variables(session, instance.id)}
    changed = False
    for name, change in changes.items():
        row = rows.get(name)
        if row is None:
            is_build = bool(change.is_build)
            session.add(new_variable(box, instance.id, name, change.value, is_build=is_build))
            changed = True
            continue
        is_build = row.is_build if change.is_build is None else change.is_build
        digest = digest_of(box, instance.id, name, change.value, is_build=is_build)
        if digest != row.digest:
            sealed = seal_value(box, instance.id, name, change.value)
            row.ciphertext, row.key_id = sealed.ciphertext, sealed.key_id
            row.digest, row.is_build = digest, is_build
            row.updated_at = datetime.now(UTC)
            changed = True
    await session.flush()
    return changed


async def unset_env_vars(
    session: WriteSession,
    actor: Actor,
    instance: Instance,
    names: Sequence[str],
    *,
    deploy: bool = True,
) -> Deployment | None:
    """Raises NotFound naming those that are not set; then none is removed."""
    place, instance = await _lock_to_change(session, actor, instance, Permission.ENV_VARS_WRITE)
    known = {row.name for row in await queries.variables(session, instance.id)}
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise _no_such_variable(missing)
    await session.execute(
        delete(EnvVar).where(EnvVar.instance_id == instance.id, EnvVar.name.in_(names))
    )
    await log.record(session, actor, Action.ENV_VARS_UNSET, place, f"Removed {_listed(names)}.")
    said = {"set": [], "unset": sorted(names), "deployed": deploy}
    await _tell(session, actor, instance, EventKind.VARIABLES_CHANGED, said)
    if not deploy:
        return None
    return await _deploy(session, actor, instance, DeploymentTrigger.CONFIG_CHANGE)


async def set_scale(
    session: WriteSession,
    actor: Actor,
    instance: Instance,
    *,
    replicas: int | None = None,
    cpu_millis: int | None = None,
    memory_mb: int | None = None,
    deploy: bool = True,
) -> Deployment | None:
    """Only what is given changes. None when nothing had to be deployed."""
    plan.valid_scale(replicas=replicas, cpu_millis=cpu_millis, memory_mb=memory_mb)
    place, instance = await _lock_to_change(session, actor, instance, Permission.SCALE)
    before = (instance.replicas, instance.cpu_millis, instance.memory_mb)
    async with growing(session, place.organization.id):
        instance.replicas = instance.replicas if replicas is None else replicas
        instance.cpu_millis = instance.cpu_millis if cpu_millis is None else cpu_millis
        instance.memory_mb = instance.memory_mb if memory_mb is None else memory_mb
        await session.flush()
    if before == (instance.replicas, instance.cpu_millis, instance.memory_mb):
        return None
    told = (
        f"Set the scale to {instance.replicas} replicas of {instance.cpu_millis} m CPU and"
        f" {instance.memory_mb} MB."
    )
    await log.record(session, actor, Action.SCALE, place, told)
    said = {
        "replicas": instance.replicas,
        "cpuMillis": instance.cpu_millis,
        "memoryMb": instance.memory_mb,
        "deployed": deploy,
    }
    await _tell(session, actor, instance, EventKind.SCALE_CHANGED, said)
    if not deploy:
        return None
    return await _deploy(session, actor, instance, DeploymentTrigger.SCALE)


async def pending_changes(
    session: AsyncSession, actor: Actor, instance: Instance
) -> PendingChanges:
    """What is desired and not in the current release."""
    place = await place_of(session, instance)
    await require(session, actor, place.scope, Permission.READ)
    return await _pending(session, instance)


async def apply(session: WriteSession, actor: Actor, instance: Instance) -> Deployment | None:
    """Deploy every staged change at once. None when nothing is staged, or nothing was deployed yet."""
    place, instance = await _lock_to_change(session, actor, instance, Permission.DEPLOY)
    staged = await _pending(session, instance)
    trigger = DeploymentTrigger.CONFIG_CHANGE if staged.variables else DeploymentTrigger.SCALE
    deployment = await _deploy(session, actor, instance, trigger)
    if deployment is not None:
        told = f"Deployed what was staged, as #{deployment.number}."
        await log.record(session, actor, Action.INSTANCE_APPLY, place, told)
    return deployment


def _listed(names: Iterable[str]) -> str:
    named = sorted(names)
    more = f" and {len(named) - 20} more" if len(named) > 20 else ""
    return ", ".join(named[:20]) + more


async def _lock_to_change(
    session: WriteSession, actor: Actor, instance: Instance, permission: Permission
) -> tuple[Place, Instance]:
    """Where it stands, and its row, locked."""
    place = await place_of(session, instance)
    await require(session, actor, place.scope, permission)
    place.require_live()
    return place, await queries.lock(session, instance.id)


async def _pending(session: AsyncSession, instance: Instance) -> PendingChanges:
    desired = await queries.desired(session, instance)
    return plan.pending(desired, await queries.released(session, instance))


async def _tell(
    session: WriteSession,
    actor: Actor,
    instance: Instance,
    kind: EventKind,
    payload: Mapping[str, Any],
) -> None:
    user_id = actor.user_id
    await events.tell_of_instance(session, kind, instance.id, payload, user_id=user_id)


async def _deploy(
    session: WriteSession, actor: Actor, instance: Instance, trigger: DeploymentTrigger
) -> Deployment | None:
    """Deploy what is desired with the code in place, unless that is what runs already.

    A rollout under way is superseded even when desired equals the current release: it may have frozen
    what was desired before this change.
    """
    code = await queries.code_in_place(session, instance)
    staged = await _pending(session, instance)
    if code is None or not (staged or code.unfinished):
        return None
    return await deployments.create(
        session,
        instance=instance,
        trigger=trigger,
        user_id=actor.user_id,
        ref=code.ref,
        commit_sha=code.commit_sha,
        commit_message=code.commit_message,
        build_id=None if staged.needs_build and code.commit_sha else code.build_id,
    )


def _no_such_variable(names: Sequence[str]) -> NotFound:
    shown = ", ".join(name if _is_shown(name) else repr(name[:40]) for name in names[:5])
    return NotFound(
        f"There is no variable {shown}." if names else "No variable was named.", field="name"
    )


def _is_shown(name: str) -> bool:
    return name.isascii() and name.isidentifier() and len(name) <= 255
