"""Cancel, roll back, promote and redeploy, from the request to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import pytest

from app.access.actor import Actor
from app.adapters.memory.cluster import Behaviour
from app.deployments import service
from app.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed
from app.models import Deployment, DeploymentStatus, DeploymentTrigger, Instance, Project, Role
from app.ports.repositories import Commit, Repositories
from tests.deployments.stage import Stage
from tests.deployments.waiting import until, worker
from tests.factories import Placed, make_instance, make_user

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
async def ada(stage: Stage, web: Placed) -> Actor:
    return await make_user(stage.database, web.organization)


async def cancel(stage: Stage, actor: Actor, deployment: Deployment) -> None:
    async with stage.database.write_transaction() as session:
        row = await session.get_one(Deployment, deployment.id)
        await service.cancel(session, actor, row)


async def roll_back(stage: Stage, actor: Actor, deployment: Deployment) -> Deployment:
    async with stage.database.write_transaction() as session:
        row = await session.get_one(Deployment, deployment.id)
        return await service.rollback(session, actor, row, stage.box)


async def promote(stage: Stage, actor: Actor, deployment: Deployment, target: Placed) -> Deployment:
    async with stage.database.write_transaction() as session:
        row = await session.get_one(Deployment, deployment.id)
        instance = await session.get_one(Instance, target.instance.id)
        return await service.promote(session, actor, row, instance)


async def test_a_queued_deployment_is_canceled_before_anything_happens(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    queued = await stage.push(web, A)
    await cancel(stage, ada, queued)
    await stage.run()
    assert (await stage.deployment(queued.id)).status is DeploymentStatus.CANCELED
    assert stage.builds.asked == []


async def test_a_rollout_under_way_is_canceled_and_the_previous_serves(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    before = await stage.deployed(web, A)
    stage.rollout_seconds = 60
    async with worker(stage):
        rolling = await stage.push(web, B, behaviour=Behaviour.SILENT)
        await until(stage, rolling, DeploymentStatus.RELEASING)
        await cancel(stage, ada, rolling)
        await until(stage, rolling, DeploymentStatus.CANCELED)
    assert await stage.serves(web, before)
    assert (await stage.seen(web)).release_id == before.release_id


async def test_a_newer_push_cancels_a_rollout_under_way(stage: Stage, web: Placed) -> None:
    stage.rollout_seconds = 60
    async with worker(stage):
        rolling = await stage.push(web, A, behaviour=Behaviour.SILENT)
        await until(stage, rolling, DeploymentStatus.RELEASING)
        newer = await stage.push(web, B)
        await until(stage, newer, DeploymentStatus.SUCCEEDED)
    older = await stage.deployment(rolling.id)
    assert older.status is DeploymentStatus.CANCELED
    assert older.superseded_by_id == newer.id
    assert f"#{newer.number}" in (older.failure_message or "")


async def test_what_has_ended_cannot_be_canceled(stage: Stage, web: Placed, ada: Actor) -> None:
    deployment = await stage.deployed(web, A)
    with pytest.raises(PreconditionFailed, match="ended already"):
        await cancel(stage, ada, deployment)


async def test_a_rollback_restores_code_variables_and_scale_without_building(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    await stage.set_variable(web, "LEVEL", "info", is_build=True)
    first = await stage.deployed(web, A)
    await stage.set_variable(web, "DEBUG", "1")
    await stage.set_scale(web, replicas=2, memory_mb=512)
    await stage.deployed(web, B)
    built = list(stage.builds.asked)
    queued = await roll_back(stage, ada, first)
    await stage.run()
    rolled = await stage.deployment(queued.id)
    assert rolled.status is DeploymentStatus.SUCCEEDED
    assert (rolled.trigger, rolled.source_deployment_id) == (DeploymentTrigger.ROLLBACK, first.id)
    assert (rolled.build_id, rolled.commit_sha) == (first.build_id, A)
    assert stage.builds.asked == built
    assert await stage.variables(web) == {"LEVEL": "info"}
    instance = await stage.instance(web)
    assert (instance.replicas, instance.memory_mb) == (1, 256)
    old, new = await stage.release_of(first), await stage.release_of(rolled)
    assert new.env_digests == old.env_digests
    assert (new.replicas, new.memory_mb) == (old.replicas, old.memory_mb)
    assert await stage.serves(web, rolled)


async def test_a_rollback_is_of_what_ran_then_whatever_is_set_meanwhile(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    first = await stage.deployed(web, A)
    await stage.deployed(web, B)
    queued = await roll_back(stage, ada, first)
    await stage.set_variable(web, "LATER", "1")
    await stage.run()
    assert (await stage.release_of(await stage.deployment(queued.id))).env_digests == {}


async def test_a_rollback_to_what_runs_undoes_what_is_under_way(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    first = await stage.deployed(web, A)
    await stage.set_scale(web, replicas=3)
    newer = await stage.push(web, B)
    back = await roll_back(stage, ada, first)
    await stage.run()
    assert (await stage.deployment(newer.id)).status is DeploymentStatus.SUPERSEDED
    assert await stage.serves(web, await stage.deployment(back.id))
    assert (await stage.instance(web)).replicas == 1


async def test_only_what_succeeded_and_is_not_running_can_be_rolled_back_to(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    current = await stage.deployed(web, A)
    with pytest.raises(PreconditionFailed, match="what runs now"):
        await roll_back(stage, ada, current)
    failing = await stage.push(web, B, behaviour=Behaviour.CRASHES)
    await stage.run()
    with pytest.raises(PreconditionFailed, match="failed"):
        await roll_back(stage, ada, failing)


async def test_a_promotion_takes_the_build_and_leaves_variables_and_scale(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    staging = await make_instance(stage.database, environment="staging")
    await stage.set_variable(web, "SIDE", "production")
    await stage.set_variable(staging, "SIDE", "staging")
    tested = await stage.deployed(staging, A)
    queued = await promote(stage, ada, tested, web)
    await stage.run()
    promoted = await stage.deployment(queued.id)
    assert promoted.status is DeploymentStatus.SUCCEEDED
    assert promoted.build_id == tested.build_id
    assert stage.builds.asked == [A]
    assert list(stage.secrets_of(web).values()) == [{"SIDE": "production"}]
    assert await stage.serves(staging, tested)


async def test_a_promotion_stays_within_its_app(stage: Stage, web: Placed, ada: Actor) -> None:
    other = await make_instance(stage.database, app="api", environment="staging")
    deployment = await stage.deployed(web, A)
    with pytest.raises(InvalidInput, match="within its app"):
        await promote(stage, ada, deployment, other)
    with pytest.raises(InvalidInput, match="of this environment already"):
        await promote(stage, ada, deployment, web)


async def test_deploying_needs_the_right_and_a_stranger_learns_nothing(
    stage: Stage, web: Placed
) -> None:
    deployment = await stage.push(web, A)
    elsewhere = await make_instance(stage.database, organization="other")
    viewer = await make_user(stage.database, web.organization, name="vic", role=Role.VIEWER)
    stranger = await make_user(stage.database, elsewhere.organization, name="sam")
    with pytest.raises(Forbidden):
        await cancel(stage, viewer, deployment)
    with pytest.raises(NotFound):
        await cancel(stage, stranger, deployment)


@dataclass
class Commits:
    """Stands in for the repositories: refs to commits."""

    refs: dict[str, str]

    async def resolve(self, key: str, ref: str) -> str | None:
        name = ref.removeprefix("refs/heads/")
        return self.refs.get(name, ref if ref in self.refs.values() else None)

    async def commit(self, key: str, sha: str) -> Commit | None:
        return Commit(sha, "a message", "Ada", datetime(2026, 1, 1, tzinfo=UTC))


async def deploy(
    stage: Stage, actor: Actor, placed: Placed, commits: Commits, **what: str
) -> Deployment:
    async with stage.database.write_transaction() as session:
        instance = await session.get_one(Instance, placed.instance.id)
        repositories = cast(Repositories, commits)
        return await service.create_from_ref(session, actor, instance, repositories, **what)


async def test_deploying_without_a_ref_takes_the_environments_branch_then_what_runs(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    commits = Commits({"main": A, "feature": B})
    first = await deploy(stage, ada, web, commits)
    await stage.run()
    assert (first.commit_sha, first.ref, first.commit_message) == (
        A,
        "refs/heads/main",
        "a message",
    )
    commits.refs["main"] = C
    again = await deploy(stage, ada, web, commits)
    await stage.run()
    assert again.commit_sha == A
    again, first = await stage.deployment(again.id), await stage.deployment(first.id)
    assert again.build_id == first.build_id, "an unchanged commit is not built again"


async def test_deploying_a_ref_or_a_commit_takes_that(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    commits = Commits({"main": A, "feature": B})
    assert (await deploy(stage, ada, web, commits, ref="feature")).commit_sha == B
    assert (await deploy(stage, ada, web, commits, commit_sha=A)).commit_sha == A
    with pytest.raises(NotFound, match="no commit 'nowhere'"):
        await deploy(stage, ada, web, commits, ref="nowhere")


async def test_an_environment_of_many_branches_must_be_told_which(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    preview = await make_instance(stage.database, environment="preview", branch_pattern="*")
    with pytest.raises(PreconditionFailed, match="no single branch"):
        await deploy(stage, ada, preview, Commits({"main": A}))


async def test_nothing_is_deployed_in_a_deleted_project(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    async with stage.database.write_transaction() as session:
        project = await session.get_one(Project, web.project.id)
        project.deleted_at = datetime.now(UTC)
    with pytest.raises(PreconditionFailed, match="is deleted"):
        await deploy(stage, ada, web, Commits({"main": A}))
