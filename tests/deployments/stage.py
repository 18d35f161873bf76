"""A worker's inside on the simulated engine: real rows, real reconcilers, instant builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select, update

from app.adapters.memory.cluster import Behaviour
from app.adapters.memory.ingress import MemoryIngress
from app.adapters.memory.scheduler import MemoryScheduler
from app.adapters.memory.slugs import MemorySlugStore
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.deployments import service
from app.ids import new_id
from app.instances import secrets
from app.models import (
    App,
    Build,
    BuildKind,
    BuildStatus,
    Deployment,
    DeploymentStatus,
    DeploymentStep,
    DeploymentTrigger,
    FailureCode,
    Instance,
    Push,
    PushStatus,
    Release,
)
from app.ports.scheduler import JobRef, Observation
from app.reconcile.driver import Driver
from app.reconcile.wake import WakeListener
from app.rollouts.reconcile import InstanceReconciler
from jobs.render import Job, job_id_of, namespace_of
from tests.factories import Placed

ROLLOUT_SECONDS = 5.0


@dataclass
class Builds:
    """Stands in for the build reconciler: a commit's build is there at once, unless held or failing."""

    held: bool = False
    failing: bool = False
    kind: BuildKind = BuildKind.SLUG
    asked: list[str] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)

    async def ensure(
        self,
        session: WriteSession,
        *,
        app: App,
        commit_sha: str,
        build_env: Mapping[str, str],
        box: SecretBox,
    ) -> Build:
        self.asked.append(commit_sha)
        self.environments.append(dict(build_env))
        live = (BuildStatus.QUEUED, BuildStatus.RUNNING, BuildStatus.SUCCEEDED)
        found = await session.scalar(
            select(Build).where(
                Build.app_id == app.id,
                Build.commit_sha == commit_sha,
                Build.status.in_(live),
                (Build.status != BuildStatus.SUCCEEDED) | Build.artifact.is_not(None),
            )
        )
        if found is not None:
            return found
        attempt = await session.scalar(
            select(func.count()).select_from(Build).where(Build.commit_sha == commit_sha)
        )
        build = Build(
            id=new_id("bld"),
            app_id=app.id,
            commit_sha=commit_sha,
            inputs_digest="same",
            attempt=(attempt or 0) + 1,
            status=BuildStatus.RUNNING,
            processes={},
            runtime={},
        )
        if not self.held:
            self.end(build)
        session.add(build)
        await session.flush()
        return build

    def end(self, build: Build) -> None:
        if self.failing:
            build.status = BuildStatus.FAILED
            build.failure_code = FailureCode.NOTHING_TO_BUILD
            build.failure_message = "Nothing here says how to build it."
            build.failure_hint = "Add a Dockerfile, a Procfile or an index.html."
            return
        build.status = BuildStatus.SUCCEEDED
        build.kind = self.kind
        build.artifact = "5" * 64 if self.kind is BuildKind.SLUG else "registry.test/a@sha256:6"
        build.processes = {"web": "python3 main.py"}


class Stage:
    """``behaviours``: what the app of a commit does; healthy unless said otherwise."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        *,
        images: bool = True,
        deadline_seconds: float = 2.0,
    ) -> None:
        self.database = database
        self.box = box
        self.behaviours: dict[str, Behaviour] = {}
        self.builds = Builds()
        self.scheduler = MemoryScheduler(
            images=images,
            memory_mb=4096,
            deadline_seconds=deadline_seconds,
            behaves=self._behaves,
        )
        self.ingress = MemoryIngress(self.scheduler)
        self.slugs = MemorySlugStore()
        self.rollout_seconds = ROLLOUT_SECONDS

    def _behaves(self, job: Job) -> Behaviour:
        return self.behaviours.get(str(job["Meta"]["commit"]), Behaviour.HEALTHY)

    def reconciler(self) -> InstanceReconciler:
        return InstanceReconciler(
            self.database,
            self.box,
            self.scheduler,
            self.ingress,
            self.slugs,
            self.builds.ensure,
            rollout_seconds=self.rollout_seconds,
        )

    def driver(self, listener: WakeListener | None = None) -> Driver:
        return Driver(self.database, [self.reconciler()], listener=listener, lease_seconds=5.0)

    async def run(self) -> None:
        await self.driver().run_until_idle()

    async def look_at(self, placed: Placed) -> None:
        """Reconcile an instance although no row says that it needs it, as a wake would."""
        from app.reconcile.lease import acquire

        lease = await acquire(
            self.database, "instance", placed.instance.id, owner="test", seconds=5.0
        )
        try:
            await self.reconciler().reconcile(placed.instance.id, lease)
        finally:
            await lease.release()

    async def push(
        self,
        placed: Placed,
        commit: str,
        *,
        behaviour: Behaviour = Behaviour.HEALTHY,
        trigger: DeploymentTrigger = DeploymentTrigger.GIT_PUSH,
    ) -> Deployment:
        """Queue a deployment of the commit, as a push does."""
        self.behaviours[commit] = behaviour
        async with self.database.write_transaction() as session:
            instance = await session.get_one(Instance, placed.instance.id)
            push = Push(
                id=new_id("psh"),
                app_id=instance.app_id,
                ref="refs/heads/main",
                before_sha="0" * 40,
                after_sha=commit,
                status=PushStatus.DEPLOYED,
            )
            session.add(push)
            await session.flush()
            return await service.create(
                session,
                instance=instance,
                trigger=trigger,
                user_id=None,
                push=push,
                ref="refs/heads/main",
                commit_sha=commit,
                commit_message=f"commit {commit}",
            )

    async def finish_builds(self, status: BuildStatus | None = None) -> None:
        """End those that run: as ``builds`` says, or with ``status``."""
        async with self.database.write_transaction() as session:
            running = select(Build).where(Build.status == BuildStatus.RUNNING)
            for build in (await session.scalars(running)).all():
                if status is None:
                    self.builds.end(build)
                else:
                    build.status = status

    async def deployed(self, placed: Placed, commit: str) -> Deployment:
        """A deployment of the commit that has succeeded."""
        queued = await self.push(placed, commit)
        await self.run()
        deployment = await self.deployment(queued.id)
        assert deployment.status is DeploymentStatus.SUCCEEDED, deployment.failure_message
        return deployment

    async def deployment(self, deployment_id: str) -> Deployment:
        async with self.database.read_session() as session:
            return await session.get_one(Deployment, deployment_id)

    async def deployments(self, placed: Placed) -> list[Deployment]:
        async with self.database.read_session() as session:
            statement = (
                select(Deployment)
                .where(Deployment.instance_id == placed.instance.id)
                .order_by(Deployment.number)
            )
            return list((await session.scalars(statement)).all())

    async def instance(self, placed: Placed) -> Instance:
        async with self.database.read_session() as session:
            return await session.get_one(Instance, placed.instance.id)

    async def release_of(self, deployment: Deployment) -> Release:
        async with self.database.read_session() as session:
            return await session.get_one(Release, deployment.release_id)

    async def steps(self, deployment: Deployment) -> Sequence[DeploymentStep]:
        from app.deployments import queries

        async with self.database.read_session() as session:
            return (await queries.steps(session, [deployment.id]))[deployment.id]

    async def set_scale(self, placed: Placed, **values: int) -> None:
        async with self.database.write_transaction() as session:
            await session.execute(
                update(Instance).where(Instance.id == placed.instance.id).values(**values)
            )

    async def set_variable(
        self, placed: Placed, name: str, value: str, *, is_build: bool = False
    ) -> None:
        async with self.database.write_transaction() as session:
            session.add(
                secrets.new_variable(self.box, placed.instance.id, name, value, is_build=is_build)
            )

    async def variables(self, placed: Placed) -> dict[str, str]:
        from app.instances import queries

        async with self.database.read_session() as session:
            rows = await queries.variables(session, placed.instance.id)
            return {row.name: secrets.open_value(self.box, row) for row in rows}

    def secrets_of(self, placed: Placed) -> dict[str, dict[str, str]]:
        """What the engine holds for the instance, by path."""
        return {p: v for (r, p), v in self.scheduler.cluster.secrets.items() if r == ref_of(placed)}

    async def seen(self, placed: Placed) -> Observation:
        return await self.scheduler.observe(ref_of(placed))

    async def serves(self, placed: Placed, deployment: Deployment) -> bool:
        return await self.ingress.serves(placed.instance.hostname, deployment.release_id or "-")


def ref_of(placed: Placed) -> JobRef:
    return JobRef(
        namespace_of(placed.organization.slug),
        job_id_of(placed.project.slug, placed.app.slug, placed.environment.slug),
    )
