"""Rolls out the deployments of one instance, and keeps it running what it should.

The loop: read the rows, ask the planner, take one action, again. It makes no choices of its own; every
action is one transaction or one effect on the engine, and may be the last before the worker dies.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from app import faults
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.deployments import releases
from app.models import (
    App,
    Build,
    BuildStatus,
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    FailureCode,
    Instance,
)
from app.ports.builder import SlugStore
from app.ports.ingress import Ingress
from app.ports.scheduler import (
    JobConflict,
    Observation,
    Scheduler,
    SchedulerRejected,
    SchedulerUnavailable,
)
from app.reconcile.lease import HeldLease, LeaseLost
from app.rollouts import failures, plan, progress
from app.rollouts.engine import Engine
from app.rollouts.failures import Failure
from app.rollouts.state import (
    DeploymentView,
    Loaded,
    instances_with_work,
    load,
    releases_to_keep,
)

log = logging.getLogger(__name__)

_TEMPORARY = (SQLAlchemyError, OSError, TimeoutError, LeaseLost, SchedulerUnavailable)
"""What passes by itself: the driver tries again. Anything else fails the deployment."""


class EnsureBuild(Protocol):
    """``app.builds.service.ensure``: the live or successful build of these inputs, or a new one."""

    async def __call__(
        self,
        session: WriteSession,
        *,
        app: App,
        commit_sha: str,
        build_env: Mapping[str, str],
        box: SecretBox,
    ) -> Build: ...


class InstanceReconciler:
    kind = "instance"
    period = 5.0
    concurrency = 64
    """Most of them wait for the engine; the database's pool is what limits the others."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        scheduler: Scheduler,
        ingress: Ingress,
        slugs: SlugStore,
        ensure_build: EnsureBuild,
        *,
        rollout_seconds: float,
    ) -> None:
        self._database = database
        self._box = box
        self._ensure_build = ensure_build
        self._rollout_seconds = rollout_seconds
        self._engine = Engine(scheduler, ingress, slugs, box, rollout_seconds=rollout_seconds)

    async def pending(self) -> Sequence[str]:
        """Instances with an unfinished deployment that does not merely wait for its build, and those
        that are to be removed."""
        async with self._database.read_session() as session:
            return await instances_with_work(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        seen: Observation | None = None
        while True:
            lease.woken.clear()
            async with self._database.read_session() as session:
                loaded = await load(session, key)
            if loaded is None:
                return
            action = self._plan(loaded, seen)
            if isinstance(action, plan.Observe):
                seen = await self._attempt(action, loaded, lease)
                if seen is None or lease.woken.is_set():
                    continue
                action = self._plan(loaded, seen)
            if isinstance(action, plan.Rest):
                await self._tidy(loaded)
                return
            seen = await self._attempt(action, loaded, lease)

    def _plan(self, loaded: Loaded, seen: Observation | None) -> plan.Action:
        return plan.next_action(loaded.state, seen, rollout_seconds=self._rollout_seconds)

    async def _attempt(
        self, action: plan.Action, loaded: Loaded, lease: HeldLease
    ) -> Observation | None:
        """Take the action; turn what cannot pass by itself into the deployment's failure."""
        deployment: DeploymentView | None = getattr(action, "deployment", None)
        try:
            return await self._take(action, loaded, lease)
        except JobConflict:
            log.info("%s: the job changed meanwhile; looking again", loaded.state.ref)
            return None
        except SchedulerUnavailable as error:
            if not await self._gave_up_on_engine(loaded, lease, error):
                raise
            return None
        except _TEMPORARY:
            raise
        except SchedulerRejected as error:
            if deployment is None or deployment.failed:
                raise
            await self._fail(deployment, failures.rejected(str(error)), [], lease)
        except Exception as error:
            if deployment is None or deployment.failed:
                raise
            log.exception("deployment %s failed at %s", deployment.id, type(action).__name__)
            await self._fail(
                deployment, failures.internal(error, _phase(loaded, deployment)), [], lease
            )
        return None

    async def _take(
        self, action: plan.Action, loaded: Loaded, lease: HeldLease
    ) -> Observation | None:
        """An observation when the action is one, else None: the world may have changed."""
        match action:
            case plan.Observe():
                return await self._engine.observe(loaded.state.ref)
            case plan.Watch():
                return await self._watch(action, loaded, lease)
            case plan.StartBuild():
                await self._start_build(action, loaded, lease)
            case plan.TakeBuildFailure():
                await self._take_build_failure(action, lease)
            case plan.Freeze():
                await self._freeze(action, lease)
            case plan.Submit():
                await self._submit(action, loaded, lease)
            case plan.RecordSubmitted():
                await self._record_submitted(action.deployment, action.index, lease)
            case plan.AwaitRoute():
                await self._await_route(action, loaded, lease)
            case plan.Succeed():
                await self._succeed(action.deployment, lease)
            case plan.RecordFailure():
                await self._record_failure(action, loaded, lease)
            case plan.Restore():
                await self._restore(action, loaded, lease)
            case plan.Stop():
                await self._engine.stop(loaded.state.ref, lease, purge=action.purge)
            case plan.Finish():
                await self._finish(action, lease)
            case plan.Remove():
                await self._remove(loaded, lease)
            case plan.Rest():
                pass
        return None

    # From a commit to a release

    async def _start_build(self, action: plan.StartBuild, loaded: Loaded, lease: HeldLease) -> None:
        """One that was built before is frozen at once."""
        async with progress.changing(self._database, lease, action.deployment.id) as (session, row):
            build = await self._ensure_build(
                session,
                app=loaded.app,
                commit_sha=await _commit_of(session, row),
                build_env=await releases.build_environment(session, row.instance_id, self._box),
                box=self._box,
            )
            row.build_id = build.id
            if build.status is BuildStatus.SUCCEEDED:
                await self._freeze_in(session, row)
            else:
                row.status = DeploymentStatus.BUILDING
                await progress.enter(session, row, DeploymentPhase.BUILD)
        faults.checkpoint("deployment.build_requested")

    async def _take_build_failure(self, action: plan.TakeBuildFailure, lease: HeldLease) -> None:
        async with progress.changing(self._database, lease, action.deployment.id) as (session, row):
            build = await session.get_one(Build, row.build_id)
            failure = Failure(
                build.failure_code or FailureCode.BUILD_FAILED,
                build.failure_message or "The build failed.",
                build.failure_hint or "The build's log says why.",
                DeploymentPhase.BUILD,
            )
            await progress.note_failure(row, failure, [])
            await progress.end(session, row, DeploymentStatus.FAILED)
        faults.checkpoint("deployment.failed")

    async def _freeze(self, action: plan.Freeze, lease: HeldLease) -> None:
        async with progress.changing(self._database, lease, action.deployment.id) as (session, row):
            await self._freeze_in(session, row)
        faults.checkpoint("deployment.release_frozen")

    async def _freeze_in(self, session: WriteSession, row: Deployment) -> None:
        release = await releases.freeze(session, row, self._box)
        if row.status is DeploymentStatus.QUEUED:
            await progress.skip(session, row, DeploymentPhase.BUILD, "It was built before.")
        row.release_id = release.id
        row.status = DeploymentStatus.RELEASING
        row.desired_replicas = release.replicas
        await progress.enter(session, row, DeploymentPhase.RELEASE)

    # Rolling it out

    async def _submit(self, action: plan.Submit, loaded: Loaded, lease: HeldLease) -> None:
        deployment = action.deployment
        frozen = loaded.releases[deployment.id]
        if frozen.build.kind == "image" and not (await self._engine.capabilities()).images:
            await self._fail(deployment, failures.images_unsupported(), [], lease)
            return
        began = datetime.now(UTC)
        index = await self._engine.submit(
            loaded, frozen, lease, expected_index=action.expected_index
        )
        await self._record_submitted(deployment, index, lease, began=began)

    async def _record_submitted(
        self,
        deployment: DeploymentView,
        index: int,
        lease: HeldLease,
        *,
        began: datetime | None = None,
    ) -> None:
        async with progress.changing(self._database, lease, deployment.id) as (session, row):
            row.scheduler_index = str(index)
            through = {DeploymentPhase.SCHEDULE: began or datetime.now(UTC)}
            await progress.enter(session, row, DeploymentPhase.HEALTH_CHECK, through=through)
        faults.checkpoint("deployment.submission_recorded")

    async def _watch(
        self, action: plan.Watch, loaded: Loaded, lease: HeldLease
    ) -> Observation | None:
        if action.healthy != action.deployment.healthy:
            async with progress.changing(self._database, lease, action.deployment.id) as (_, row):
                row.healthy_replicas = action.healthy
        return await self._engine.watch(
            loaded.state.ref, action.cursor, lease, seconds=action.seconds
        )

    async def _await_route(self, action: plan.AwaitRoute, loaded: Loaded, lease: HeldLease) -> None:
        deployment = action.deployment
        release = loaded.releases[deployment.id].release
        began = datetime.now(UTC)
        alone = action.alone_seconds > 0
        if await self._engine.serves(loaded.instance.hostname, release.id, alone=alone):
            await self._succeed(deployment, lease, routing_since=began)
            return
        if action.otherwise is not None:
            failed = plan.RecordFailure(deployment, action.otherwise)
            await self._record_failure(failed, loaded, lease)
            return
        if DeploymentPhase.ROUTE not in deployment.since:
            async with progress.changing(self._database, lease, deployment.id) as (session, row):
                row.healthy_replicas = release.replicas
                await progress.enter(session, row, DeploymentPhase.ROUTE)
            faults.checkpoint("deployment.route_recorded")
        if await self._engine.routed(
            loaded.instance.hostname,
            release.id,
            lease,
            seconds=action.seconds,
            alone_seconds=action.alone_seconds,
        ):
            await self._succeed(deployment, lease)

    async def _succeed(
        self,
        deployment: DeploymentView,
        lease: HeldLease,
        *,
        routing_since: datetime | None = None,
    ) -> None:
        """``routing_since``: when the router was first asked, if that had no transaction of its own."""
        async with progress.changing(self._database, lease, deployment.id) as (session, row):
            row.healthy_replicas = row.desired_replicas
            if row.desired_replicas == 0:
                await progress.skip(session, row, DeploymentPhase.ROUTE, "No copies are wanted.")
            elif routing_since is not None:
                through = {DeploymentPhase.ROUTE: routing_since}
                await progress.pass_through(session, row, through)
            await progress.end(session, row, DeploymentStatus.SUCCEEDED)
            await session.execute(
                update(Instance)
                .where(Instance.id == row.instance_id)
                .values(current_release_id=row.release_id)
            )
        faults.checkpoint("deployment.succeeded")

    # Undoing it

    async def _record_failure(
        self, action: plan.RecordFailure, loaded: Loaded, lease: HeldLease
    ) -> None:
        tail: list[str] = []
        if action.copy_id is not None:
            tail = await self._engine.log_tail(loaded.state.ref, action.copy_id)
        await self._fail(action.deployment, action.failure, tail, lease)

    async def _fail(
        self, deployment: DeploymentView, failure: Failure, tail: list[str], lease: HeldLease
    ) -> None:
        """One whose release exists is undone next; any other has changed nothing, and ends here."""
        begun = deployment.status is DeploymentStatus.RELEASING
        async with progress.changing(self._database, lease, deployment.id) as (session, row):
            await progress.note_failure(row, failure, tail)
            if not begun:
                await progress.end(session, row, DeploymentStatus.FAILED)
        faults.checkpoint("deployment.failure_recorded" if begun else "deployment.failed")

    async def _restore(self, action: plan.Restore, loaded: Loaded, lease: HeldLease) -> None:
        assert loaded.current is not None
        log.info("%s: registering its current release again", loaded.state.ref)
        await self._engine.submit(
            loaded, loaded.current, lease, expected_index=action.expected_index
        )
        faults.checkpoint("deployment.previous_restored")

    async def _finish(self, action: plan.Finish, lease: HeldLease) -> None:
        async with progress.changing(self._database, lease, action.deployment.id) as (session, row):
            await progress.end(
                session,
                row,
                action.status,
                message=action.message,
                superseded_by_id=action.superseded_by_id,
            )
            if row.build_id is not None:
                await session.wake("build", row.build_id)  # which may be wanted by nobody now
        faults.checkpoint(f"deployment.{action.status.value}")

    async def _gave_up_on_engine(
        self, loaded: Loaded, lease: HeldLease, error: SchedulerUnavailable
    ) -> bool:
        """End a rollout whose engine has been away for longer than a rollout may take.

        What ran before may be left to put back: an instance without a rollout is settled when the engine
        answers again, at the next wake or by the drift reconciler.
        """
        for deployment in loaded.state.unfinished:
            if deployment.status is not DeploymentStatus.RELEASING:
                continue
            waited = plan.waited(loaded.state, deployment, DeploymentPhase.RELEASE)
            if waited < self._rollout_seconds:
                continue
            async with progress.changing(self._database, lease, deployment.id) as (session, row):
                if row.failure_code is None:
                    await progress.note_failure(row, failures.engine_unavailable(str(error)), [])
                await progress.end(session, row, DeploymentStatus.FAILED)
            return True
        return False

    # Afterwards

    async def _tidy(self, loaded: Loaded) -> None:
        """Variables of releases that neither run nor may be put back by the engine are deleted."""
        if loaded.state.unfinished:
            return
        async with self._database.read_session() as session:
            keep = await releases_to_keep(session, loaded.instance.id)
        await self._engine.prune_secrets(loaded.state.ref, keep=keep)

    async def _remove(self, loaded: Loaded, lease: HeldLease) -> None:
        await self._engine.forget(loaded.state.ref)
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await session.execute(delete(Instance).where(Instance.id == loaded.instance.id))
            for above in (loaded.environment.id, loaded.app.id, loaded.project.id):
                await session.wake("teardown", above)
            await session.wake("logs", loaded.instance.id)
        faults.checkpoint("instance.removed")


async def _commit_of(session: WriteSession, row: Deployment) -> str:
    if row.commit_sha is not None:
        return row.commit_sha
    build = await session.get_one(Build, row.build_id)
    return build.commit_sha


def _phase(loaded: Loaded, deployment: DeploymentView) -> DeploymentPhase:
    return loaded.deployments[deployment.id].phase or DeploymentPhase.BUILD
