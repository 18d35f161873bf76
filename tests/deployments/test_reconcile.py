"""What becomes of deployments, on the simulated engine."""

from __future__ import annotations

import pytest

from app.adapters.memory.cluster import Behaviour
from app.crypto import SecretBox
from app.models import (
    Build,
    BuildKind,
    BuildStatus,
    DeploymentPhase,
    DeploymentStatus,
    FailureCode,
    StepStatus,
)
from app.ports.scheduler import AllocationState
from tests.deployments.stage import Stage, ref_of
from tests.deployments.waiting import until, worker
from tests.factories import Placed, make_instance

A, B, C = "a" * 40, "b" * 40, "c" * 40


async def test_a_first_push_is_built_released_and_serves(stage: Stage, web: Placed) -> None:
    await stage.set_variable(web, "GREETING", "hello")
    stage.builds.held = True
    queued = await stage.push(web, A)
    await stage.run()
    await stage.finish_builds()
    await stage.run()
    deployment = await stage.deployment(queued.id)
    assert deployment.status is DeploymentStatus.SUCCEEDED
    assert await stage.serves(web, deployment)
    assert (await stage.instance(web)).current_release_id == deployment.release_id
    assert (deployment.desired_replicas, deployment.healthy_replicas) == (1, 1)
    assert list(stage.secrets_of(web).values()) == [{"GREETING": "hello"}]
    assert [(step.phase, step.status) for step in await stage.steps(deployment)] == [
        (phase, StepStatus.SUCCEEDED) for phase in DeploymentPhase
    ]
    assert all(step.started_at and step.finished_at for step in await stage.steps(deployment))


async def test_an_update_replaces_the_release_and_keeps_only_the_last_two_secrets(
    stage: Stage, web: Placed
) -> None:
    await stage.deployed(web, A)
    await stage.deployed(web, B)
    last = await stage.deployed(web, C)
    seen = await stage.seen(web)
    alive = {a.release_id for a in seen.allocations if a.state is AllocationState.RUNNING}
    assert alive == {last.release_id}
    assert sorted(stage.secrets_of(web)) == [
        "nomad/jobs/storefront-web-production/web/web-r2",
        "nomad/jobs/storefront-web-production/web/web-r3",
    ]


async def test_a_deployment_waits_for_its_build_without_holding_anything(
    stage: Stage, web: Placed
) -> None:
    stage.builds.held = True
    queued = await stage.push(web, A)
    await stage.run()
    waiting = await stage.deployment(queued.id)
    assert (waiting.status, waiting.phase) == (DeploymentStatus.BUILDING, DeploymentPhase.BUILD)
    assert await stage.reconciler().pending() == []


async def test_a_failed_build_fails_the_deployment_with_its_own_words(
    stage: Stage, web: Placed
) -> None:
    before = await stage.deployed(web, A)
    stage.builds.failing = True
    queued = await stage.push(web, B)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.status is DeploymentStatus.FAILED
    assert failed.failure_code is FailureCode.NOTHING_TO_BUILD
    assert failed.failure_phase is DeploymentPhase.BUILD
    assert failed.failure_hint == "Add a Dockerfile, a Procfile or an index.html."
    assert await stage.serves(web, before)


async def test_a_crashing_update_fails_with_its_log_and_the_previous_serves(
    stage: Stage, web: Placed
) -> None:
    before = await stage.deployed(web, A)
    queued = await stage.push(web, B, behaviour=Behaviour.CRASHES)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert (failed.status, failed.failure_code) == (
        DeploymentStatus.FAILED,
        FailureCode.CRASH_LOOP,
    )
    assert "code 3" in (failed.failure_message or "")
    assert "boom: no database" in failed.failure_log_tail
    assert await stage.serves(web, before)
    assert (await stage.seen(web)).release_id == before.release_id
    assert (await stage.instance(web)).current_release_id == before.release_id
    assert list(stage.secrets_of(web)) == ["nomad/jobs/storefront-web-production/web/web-r1"]


async def test_a_crashing_first_deployment_leaves_no_job(stage: Stage, web: Placed) -> None:
    queued = await stage.push(web, A, behaviour=Behaviour.CRASHES)
    await stage.run()
    assert (await stage.deployment(queued.id)).failure_code is FailureCode.CRASH_LOOP
    assert (await stage.seen(web)).modify_index == 0
    assert stage.secrets_of(web) == {}


async def test_an_app_that_never_listens_is_told_of_its_port(stage: Stage, web: Placed) -> None:
    queued = await stage.push(web, A, behaviour=Behaviour.SILENT)
    stage.rollout_seconds = 0.3
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.failure_code is FailureCode.PORT_NOT_LISTENING
    assert "PORT" in (failed.failure_hint or "")


async def test_an_app_that_needs_more_than_its_memory_is_told_the_limit(
    stage: Stage, web: Placed
) -> None:
    queued = await stage.push(web, A, behaviour=Behaviour.HUNGRY)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.failure_code is FailureCode.OUT_OF_MEMORY
    assert "256 MB" in (failed.failure_message or "")


async def test_an_app_that_fits_nowhere_fails_with_the_reason(
    stage: Stage, web: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.rollouts.failures.NO_ROOM_SECONDS", 0.1)
    before = await stage.deployed(web, A)
    await stage.set_scale(web, memory_mb=1_000_000)
    queued = await stage.push(web, A)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.failure_code is FailureCode.NO_CAPACITY
    assert failed.failure_phase is DeploymentPhase.SCHEDULE
    assert "memory" in (failed.failure_message or "")
    assert await stage.serves(web, before)


async def test_an_image_on_an_engine_without_docker_says_what_else_works(
    stage: Stage, web: Placed
) -> None:
    stage = Stage(stage.database, stage.box, images=False)
    stage.builds.kind = BuildKind.IMAGE
    queued = await stage.push(web, A)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.failure_code is FailureCode.ENGINE_UNSUPPORTED
    assert "Procfile" in (failed.failure_hint or "")
    assert (await stage.seen(web)).modify_index == 0


async def test_no_replicas_is_a_success_without_a_route(stage: Stage, web: Placed) -> None:
    await stage.deployed(web, A)
    await stage.set_scale(web, replicas=0)
    deployment = await stage.deployed(web, A)
    assert not await stage.serves(web, deployment)
    steps = {step.phase: step.status for step in await stage.steps(deployment)}
    assert steps[DeploymentPhase.ROUTE] is StepStatus.SKIPPED


async def test_a_newer_push_supersedes_what_is_queued(stage: Stage, web: Placed) -> None:
    first, second = await stage.push(web, A), await stage.push(web, B)
    third = await stage.push(web, C)
    await stage.run()
    found = await stage.deployments(web)
    assert [d.status for d in found] == [
        DeploymentStatus.SUPERSEDED,
        DeploymentStatus.SUPERSEDED,
        DeploymentStatus.SUCCEEDED,
    ]
    assert {d.superseded_by_id for d in found[:2]} == {third.id}
    assert stage.builds.asked == [C]
    assert {first.number, second.number, third.number} == {1, 2, 3}


async def test_a_healthy_app_that_the_router_ignores_is_not_called_live(
    stage: Stage, web: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.rollouts.failures.ROUTE_SECONDS", 0.2)
    stage.ingress.deaf = True
    queued = await stage.push(web, A)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.status is DeploymentStatus.FAILED
    assert failed.failure_phase is DeploymentPhase.ROUTE


async def test_an_old_copy_that_the_router_still_sends_to_is_waited_for(
    stage: Stage, web: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    serves = stage.ingress.serves

    async def third_time(hostname: str, release_id: str, *, alone: bool = False) -> bool:
        looks.append(alone)
        stage.ingress.lingering = len(looks) < 3
        return await serves(hostname, release_id, alone=alone)

    monkeypatch.setattr(stage.ingress, "serves", third_time)
    queued = await stage.push(web, A)
    await stage.run()
    assert looks == [True, True, True]
    assert (await stage.deployment(queued.id)).status is DeploymentStatus.SUCCEEDED


async def test_an_old_copy_that_the_router_never_forgets_holds_up_nothing_for_ever(
    stage: Stage, web: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.rollouts.failures.ALONE_SECONDS", 0.1)
    stage.ingress.lingering = True
    queued = await stage.push(web, A)
    await stage.run()
    assert (await stage.deployment(queued.id)).status is DeploymentStatus.SUCCEEDED


async def test_a_job_that_the_engine_refuses_fails_and_the_previous_serves(
    stage: Stage, web: Placed
) -> None:
    before = await stage.deployed(web, A)
    stage.scheduler.refuses = "the driver is not enabled"
    queued = await stage.push(web, B)
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert failed.failure_code is FailureCode.ENGINE_UNSUPPORTED
    assert "the driver is not enabled" in (failed.failure_message or "")
    assert await stage.serves(web, before)


async def test_redeploying_an_unchanged_commit_builds_nothing(stage: Stage, web: Placed) -> None:
    first = await stage.deployed(web, A)
    second = await stage.deployed(web, A)
    assert first.build_id == second.build_id
    assert first.release_id != second.release_id


async def test_a_job_that_vanished_is_registered_again(stage: Stage, web: Placed) -> None:
    deployment = await stage.deployed(web, A)
    await stage.scheduler.stop(ref_of(web), purge=True)
    stage.scheduler.cluster.secrets.clear()
    await stage.look_at(web)
    assert (await stage.seen(web)).release_id == deployment.release_id
    assert len(stage.secrets_of(web)) == 1


async def test_a_canceled_build_is_asked_for_again(stage: Stage, web: Placed) -> None:
    stage.builds.held = True
    queued = await stage.push(web, A)
    await stage.run()
    await stage.finish_builds(BuildStatus.CANCELED)
    stage.builds.held = False
    await stage.run()
    assert (await stage.deployment(queued.id)).status is DeploymentStatus.SUCCEEDED


async def test_a_build_that_was_pruned_is_made_again(stage: Stage, web: Placed) -> None:
    first = await stage.deployed(web, A)
    async with stage.database.write_transaction() as session:
        build = await session.get_one(Build, first.build_id)
        build.artifact = None
    second = await stage.deployed(web, A)
    assert second.build_id != first.build_id


async def test_an_engine_that_stays_away_ends_the_rollout_and_is_put_right_when_it_is_back(
    stage: Stage, web: Placed
) -> None:
    before = await stage.deployed(web, A)
    stage.rollout_seconds = 0.5
    async with worker(stage):
        rolling = await stage.push(web, B, behaviour=Behaviour.SILENT)
        await until(stage, rolling, DeploymentStatus.RELEASING)
        stage.scheduler.down = True
        ended = await until(stage, rolling, DeploymentStatus.FAILED)
    assert ended.failure_code is FailureCode.ENGINE_UNAVAILABLE
    stage.scheduler.down = False
    await stage.look_at(web)
    assert (await stage.seen(web)).release_id == before.release_id
    assert await stage.serves(web, before)


async def test_a_short_absence_of_the_engine_is_only_a_delay(stage: Stage, web: Placed) -> None:
    stage.scheduler.down = True
    async with worker(stage):
        rolling = await stage.push(web, A)
        await until(stage, rolling, DeploymentStatus.RELEASING)
        stage.scheduler.down = False
        await until(stage, rolling, DeploymentStatus.SUCCEEDED)


async def test_a_fault_of_the_platform_ends_the_deployment(stage: Stage, web: Placed) -> None:
    await stage.set_variable(web, "GREETING", "hello")
    queued = await stage.push(web, A)
    stage.box = SecretBox([b"x" * 32])
    await stage.run()
    failed = await stage.deployment(queued.id)
    assert (failed.status, failed.failure_code) == (DeploymentStatus.FAILED, FailureCode.INTERNAL)


async def test_two_workers_register_each_release_once(stage: Stage, web: Placed) -> None:
    others = [await make_instance(stage.database, app=f"api{n}") for n in range(5)]
    async with worker(stage), worker(stage):
        queued = [await stage.push(placed, A) for placed in (web, *others)]
        for deployment in queued:
            await until(stage, deployment, DeploymentStatus.SUCCEEDED)
    assert len(stage.scheduler.submitted) == len(set(stage.scheduler.submitted)) == len(queued)
