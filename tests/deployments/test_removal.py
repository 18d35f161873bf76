"""Deleted environments, apps and projects: what runs, what is left, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.adapters.git.repositories import LocalRepositories
from app.adapters.memory.cluster import Behaviour
from app.drift.reconcile import DriftReconciler
from app.models import App, DeploymentStatus, Environment, Instance, Project
from app.models import Platform as PlatformRow
from app.ports.scheduler import JobRef
from app.reconcile.driver import Driver
from app.reconcile.reconciler import Reconciler
from app.reconcile.wake import WakeListener
from app.teardown.reconcile import TeardownReconciler
from tests.deployments.stage import Stage, ref_of
from tests.factories import Placed, make_instance

A, B = "a" * 40, "b" * 40


@dataclass
class Platform:
    """Every reconciler that has to do with removal."""

    stage: Stage
    repositories: LocalRepositories

    async def settle(self) -> None:
        """Until nobody finds anything to do, wakes among them included."""
        stage = self.stage
        reconcilers: list[Reconciler] = [
            stage.reconciler(),
            TeardownReconciler(stage.database, self.repositories, stage.scheduler),
            DriftReconciler(stage.database, stage.scheduler, stage.ingress),
        ]
        listener = WakeListener(stage.database.url)
        await listener.start()
        await listener.listening()
        try:
            await Driver(stage.database, reconcilers, listener=listener).run_until_idle()
        finally:
            await listener.close()

    async def mark(self, model: Any, identifier: str, **values: datetime | None) -> None:
        async with self.stage.database.write_transaction() as session:
            row = await session.get_one(model, identifier)
            for name, value in values.items():
                setattr(row, name, value)

    async def exists(self, model: Any, identifier: str) -> bool:
        async with self.stage.database.read_session() as session:
            return await session.get(model, identifier) is not None


@pytest.fixture
def platform(stage: Stage, tmp_path: Path) -> Platform:
    return Platform(stage, LocalRepositories(tmp_path / "repositories"))


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_deleted_environment_leaves_nothing_and_the_others_alone(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    staging = await make_instance(stage.database, environment="staging")
    kept = await stage.deployed(web, A)
    await stage.set_variable(staging, "GREETING", "hello")
    await stage.deployed(staging, A)
    await platform.mark(Environment, staging.environment.id, deleted_at=now())
    await platform.settle()
    assert (await stage.seen(staging)).modify_index == 0
    assert stage.secrets_of(staging) == {}
    assert not await platform.exists(Instance, staging.instance.id)
    assert not await platform.exists(Environment, staging.environment.id)
    assert await platform.exists(App, web.app.id)
    assert await stage.serves(web, kept)


async def test_a_rollout_in_a_deleted_environment_ends_canceled_with_it(
    platform: Platform, web: Placed
) -> None:
    await platform.stage.push(web, A)
    await platform.mark(Environment, web.environment.id, deleted_at=now())
    await platform.settle()
    assert platform.stage.scheduler.submitted == []
    assert not await platform.exists(Environment, web.environment.id)


async def test_a_deleted_app_goes_with_its_repository(platform: Platform, web: Placed) -> None:
    await platform.repositories.create(web.app.repository_key)
    await platform.stage.deployed(web, A)
    await platform.mark(App, web.app.id, deleted_at=now())
    await platform.settle()
    assert (await platform.stage.seen(web)).modify_index == 0
    assert not await platform.exists(App, web.app.id)
    assert list(await platform.repositories.list()) == []


async def test_a_deleted_project_stops_and_comes_back_as_it_was(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    await stage.set_variable(web, "GREETING", "hello")
    running = await stage.deployed(web, A)
    await platform.mark(Project, web.project.id, deleted_at=now())
    await platform.settle()
    assert (await stage.seen(web)).stopped
    assert not await stage.serves(web, running)
    await platform.mark(Project, web.project.id, deleted_at=None)
    await platform.settle()
    assert await stage.serves(web, running)
    assert list(stage.secrets_of(web).values()) == [{"GREETING": "hello"}]
    assert stage.builds.asked == [A]


async def test_what_is_queued_in_a_deleted_project_is_canceled_with_the_reason(
    platform: Platform, web: Placed
) -> None:
    queued = await platform.stage.push(web, A)
    await platform.mark(Project, web.project.id, deleted_at=now())
    await platform.settle()
    ended = await platform.stage.deployment(queued.id)
    assert ended.status is DeploymentStatus.CANCELED
    assert ended.failure_message == "The project was deleted."
    assert platform.stage.scheduler.submitted == []


async def test_a_purged_project_is_gone_with_repositories_and_namespace(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    await make_instance(stage.database, app="api")
    await platform.repositories.create(web.app.repository_key)
    await stage.deployed(web, A)
    await platform.mark(Project, web.project.id, deleted_at=now(), purge_requested_at=now())
    await platform.settle()
    assert not await platform.exists(Project, web.project.id)
    assert list(await platform.repositories.list()) == []
    assert stage.scheduler.cluster.jobs == {}
    assert stage.scheduler.cluster.secrets == {}
    assert stage.scheduler.namespaces == set()


async def test_a_job_of_no_instance_is_removed_with_its_secrets(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    await stage.deployed(web, A)
    async with stage.database.write_transaction() as session:
        await session.delete(await session.get_one(Instance, web.instance.id))
    await platform.settle()
    assert stage.scheduler.cluster.jobs == {}
    assert stage.secrets_of(web) == {}


async def test_the_jobs_of_another_platform_on_the_same_engine_are_let_be(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    await stage.deployed(web, A)
    async with stage.database.write_transaction() as session:
        await session.delete(await session.get_one(Instance, web.instance.id))
        await session.execute(update(PlatformRow).values(id="plt_restored_from_nothing"))
    await platform.settle()
    assert list(stage.scheduler.cluster.jobs) == [ref_of(web)]
    assert stage.secrets_of(web) != {}


async def test_a_service_without_a_job_is_removed_and_others_stay(
    platform: Platform, web: Placed
) -> None:
    running = await platform.stage.deployed(web, A)
    platform.stage.ingress.leftovers = {"acme--gone-web-production"}
    await platform.settle()
    assert platform.stage.ingress.leftovers == set()
    assert await platform.stage.serves(web, running)


async def test_what_was_changed_behind_our_back_is_put_right(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    vanished = await make_instance(stage.database, app="api")
    stopped = await make_instance(stage.database, app="worker")
    running = {placed.app.slug: await stage.deployed(placed, A) for placed in (web, vanished)}
    running["worker"] = await stage.deployed(stopped, A)
    await stage.scheduler.stop(ref_of(vanished), purge=True)
    await stage.scheduler.stop(ref_of(stopped), purge=False)
    submitted = len(stage.scheduler.submitted)
    await platform.settle()
    for placed in (web, vanished, stopped):
        assert await stage.serves(placed, running[placed.app.slug])
    assert len(stage.scheduler.submitted) == submitted + 2, "what was right is left alone"


async def test_a_new_app_of_an_old_name_is_not_given_the_old_ones_variables(
    platform: Platform, web: Placed
) -> None:
    stage = platform.stage
    path = "nomad/jobs/storefront-web-production/web/web-r1"
    await stage.scheduler.put_secrets(ref_of(web), path, {"OLD": "secret"})
    await stage.set_variable(web, "NEW", "value")
    await stage.deployed(web, A)
    assert stage.secrets_of(web) == {path: {"NEW": "value"}}


async def test_a_failed_first_deployment_does_not_come_back_as_drift(
    platform: Platform, web: Placed
) -> None:
    await platform.stage.push(web, B, behaviour=Behaviour.CRASHES)
    await platform.settle()
    assert platform.stage.scheduler.cluster.jobs == {}
    assert JobRef("acme", "storefront-web-production") == ref_of(web)
