"""What can be done to deployments. Each verb only writes rows; the instance's reconciler does the rest."""

from __future__ import annotations

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import Place, place_of
from app.access.permissions import Permission, require
from app.audit import log
from app.audit.actions import Action
from app.crypto import SecretBox
from app.db import WriteSession
from app.deployments import queries, releases
from app.deployments.queries import Code
from app.errors import InvalidInput, NotFound, PreconditionFailed
from app.events import service as events
from app.ids import new_id
from app.models import (
    TERMINAL_STATUSES,
    Deployment,
    DeploymentStatus,
    DeploymentTrigger,
    EventKind,
    Instance,
    Push,
    Release,
)
from app.ports.repositories import Repositories
from app.quotas.service import growing


async def create(
    session: WriteSession,
    *,
    instance: Instance,
    trigger: DeploymentTrigger,
    user_id: str | None,
    push: Push | None = None,
    ref: str | None = None,
    commit_sha: str | None = None,
    commit_message: str | None = None,
    build_id: str | None = None,
    source_deployment_id: str | None = None,
) -> Deployment:
    """Queue a deployment: of ``build_id`` as it is, or of ``commit_sha``, which is built first.

    Asks for no permission: that is the caller's. Older ones of the instance give way to it.
    """
    if build_id is None and commit_sha is None:
        raise InvalidInput("A deployment needs a commit or a build.", field="commitSha")
    number = await _next_number(session, instance)
    deployment = Deployment(
        id=new_id("dep"),
        instance_id=instance.id,
        number=number,
        status=DeploymentStatus.QUEUED,
        trigger=trigger,
        push_id=push.id if push is not None else None,
        user_id=user_id,
        ref=ref,
        commit_sha=commit_sha,
        commit_message=commit_message.strip() if commit_message is not None else None,
        build_id=build_id,
        source_deployment_id=source_deployment_id,
        desired_replicas=instance.replicas,
    )
    session.add(deployment)
    await session.flush()
    await session.wake("instance", instance.id)
    created = EventKind.DEPLOYMENT_CREATED
    await events.tell_of_deployment(session, created, deployment, {"trigger": trigger.value})
    return deployment


async def create_from_ref(
    session: WriteSession,
    actor: Actor,
    instance: Instance,
    repositories: Repositories,
    *,
    ref: str | None = None,
    commit_sha: str | None = None,
) -> Deployment:
    """Deploy a branch, tag or commit; without either what runs now, or the environment's branch.

    The commit's build is used again when there is one. Raises NotFound for an unknown ref or commit.
    """
    place = await _require_deploy(session, actor, instance)
    code: Code | None = None
    if ref is None and commit_sha is None:
        code = await queries.released_code(session, instance)
        ref = _only_branch(place) if code is None else None
    code = code or await _code_at(place, repositories, ref, commit_sha)
    deployment = await create(
        session,
        instance=instance,
        trigger=DeploymentTrigger.API,
        user_id=actor.user_id,
        ref=code.ref,
        commit_sha=code.commit_sha,
        commit_message=code.commit_message,
    )
    told = f"Deployed {_code(deployment)} as #{deployment.number}."
    await _record(session, actor, Action.DEPLOYMENT_CREATE, place, deployment, told)
    return deployment


async def _record(
    session: WriteSession,
    actor: Actor,
    action: Action,
    place: Place,
    deployment: Deployment,
    told: str,
) -> None:
    await log.record(session, actor, action, place, told, subject=deployment.id)


def _code(deployment: Deployment) -> str:
    return (deployment.commit_sha or "a build of no commit")[:12]


async def _code_at(
    place: Place, repositories: Repositories, ref: str | None, commit_sha: str | None
) -> Code:
    """Raises NotFound."""
    assert place.app is not None
    key, wanted = place.app.repository_key, commit_sha or ref or ""
    sha = await repositories.resolve(key, wanted)
    commit = await repositories.commit(key, sha) if sha is not None else None
    if commit is None:
        raise NotFound(
            f"{place.path} has no commit {wanted!r} to deploy.",
            field="ref" if commit_sha is None else "commitSha",
            hint="Push it first; git branch -r and git log show what there is.",
        )
    return Code(commit.sha, ref, commit.message)


def _only_branch(place: Place) -> str:
    """The one branch that the environment is for. Raises PreconditionFailed when it is for many."""
    assert place.environment is not None
    pattern = place.environment.branch_pattern
    if set(pattern) & set("*?"):
        raise PreconditionFailed(
            f"Nothing has been deployed to {place.path}, and its pattern {pattern!r} names no single branch.",
            field="ref",
            hint="Say which branch or commit to deploy.",
        )
    return f"refs/heads/{pattern}"


async def cancel(session: WriteSession, actor: Actor, deployment: Deployment) -> Deployment:
    """Ask for it; what ran before is put back, and then it is CANCELED. Asking twice is fine.

    Raises PreconditionFailed when it has ended.
    """
    instance = await _instance_of(session, deployment)
    place = await place_of(session, instance)
    await require(session, actor, place.scope, Permission.DEPLOY)
    await session.refresh(deployment, with_for_update=True)
    if deployment.status in TERMINAL_STATUSES:
        raise PreconditionFailed(
            f"Deployment #{deployment.number} has ended already: it is {deployment.status.value}.",
            hint="To undo a deployment that succeeded, roll back to an earlier one.",
        )
    if deployment.cancel_requested_at is None:
        deployment.cancel_requested_at = func.clock_timestamp()
        await session.flush()
        await session.refresh(deployment)
    await session.wake("instance", instance.id)
    await session.wake("deployment", deployment.id)
    told = f"Canceled deployment #{deployment.number}."
    await _record(session, actor, Action.DEPLOYMENT_CANCEL, place, deployment, told)
    return deployment


async def rollback(
    session: WriteSession, actor: Actor, deployment: Deployment, box: SecretBox
) -> Deployment:
    """Deploy that one's code, variables and scale again, without building.

    They also become what is desired, so that the next push does not silently undo the rollback. While
    something newer is under way, what runs now can be rolled back to as well: it undoes the newer one.
    """
    instance = await _instance_of(session, deployment)
    place = await _require_deploy(session, actor, instance)
    release = await _release_to_reuse(session, deployment, "rolled back to")
    await session.refresh(instance, with_for_update={"key_share": True})
    runs_now = release.id == instance.current_release_id
    if runs_now and not await queries.unfinished(session, [instance.id]):
        raise PreconditionFailed(
            f"Deployment #{deployment.number} is what runs now.", hint="Choose an earlier one."
        )
    async with growing(session, place.organization.id):
        await releases.make_desired(session, instance, release, box)
    back = await create(
        session,
        instance=instance,
        trigger=DeploymentTrigger.ROLLBACK,
        user_id=actor.user_id,
        ref=deployment.ref,
        commit_sha=deployment.commit_sha,
        commit_message=deployment.commit_message,
        build_id=release.build_id,
        source_deployment_id=deployment.id,
    )
    told = f"Rolled back to deployment #{deployment.number}, as #{back.number}."
    await _record(session, actor, Action.DEPLOYMENT_ROLLBACK, place, back, told)
    return back


async def promote(
    session: WriteSession, actor: Actor, deployment: Deployment, to_instance: Instance
) -> Deployment:
    """Deploy the same build in another environment of the app, with that one's variables and scale."""
    instance = await _instance_of(session, deployment)
    await _require_deploy(session, actor, instance)
    place = await _require_deploy(session, actor, to_instance)
    if instance.app_id != to_instance.app_id:
        raise InvalidInput("A deployment can only be promoted within its app.", field="environment")
    if instance.id == to_instance.id:
        raise InvalidInput(
            f"Deployment #{deployment.number} is of this environment already.",
            field="environment",
            hint="Name another environment; to go back to an earlier deployment, roll back.",
        )
    release = await _release_to_reuse(session, deployment, "promoted")
    promoted = await create(
        session,
        instance=to_instance,
        trigger=DeploymentTrigger.PROMOTION,
        user_id=actor.user_id,
        ref=deployment.ref,
        commit_sha=deployment.commit_sha,
        commit_message=deployment.commit_message,
        build_id=release.build_id,
        source_deployment_id=deployment.id,
    )
    told = (
        f"Promoted deployment #{deployment.number} of another environment, as #{promoted.number}."
    )
    await _record(session, actor, Action.DEPLOYMENT_PROMOTE, place, promoted, told)
    return promoted


async def _next_number(session: WriteSession, instance: Instance) -> int:
    """Counting up locks the instance's row, so that two creations take turns."""
    statement = (
        update(Instance)
        .where(Instance.id == instance.id)
        .values(deployment_count=Instance.deployment_count + 1)
        .returning(Instance.deployment_count)
        .execution_options(synchronize_session=False)
    )
    number = (await session.execute(statement)).scalar_one_or_none()
    if number is None:
        raise NotFound("The instance was removed meanwhile.")
    return number


async def _require_deploy(session: AsyncSession, actor: Actor, instance: Instance) -> Place:
    place = await place_of(session, instance)
    await require(session, actor, place.scope, Permission.DEPLOY)
    place.require_live()
    return place


async def _instance_of(session: AsyncSession, deployment: Deployment) -> Instance:
    instance = await session.get(Instance, deployment.instance_id)
    if instance is None:
        raise NotFound("The deployment's instance was removed meanwhile.")
    return instance


async def _release_to_reuse(session: AsyncSession, deployment: Deployment, what: str) -> Release:
    release = None
    if deployment.status is DeploymentStatus.SUCCEEDED and deployment.release_id is not None:
        release = await session.get(Release, deployment.release_id)
    if release is None:
        raise PreconditionFailed(
            f"Deployment #{deployment.number} cannot be {what}: it is {deployment.status.value}.",
            hint="Choose a deployment that succeeded.",
        )
    return release
