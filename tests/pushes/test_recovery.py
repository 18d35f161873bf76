"""Pushes whose server died, finished from what the repository says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.models import DeploymentStatus, Push, PushStatus
from app.ports.repositories import RefUpdate
from app.pushes import service
from app.pushes.reconcile import PushReconciler
from app.reconcile.driver import Driver
from app.refs import HIDDEN, ZERO
from tests.git.world import Clone, GitWorld

MAIN = "refs/heads/main"


async def _recover(world: GitWorld) -> None:
    reconciler = PushReconciler(
        world.database,
        world.repositories,
        world.wiring.previews,
        presumed_dead_after=timedelta(seconds=0),
    )
    await Driver(world.database, [reconciler]).run_until_idle()


async def _stored(world: GitWorld) -> tuple[Clone, str]:
    """A commit whose objects are in the repository, at a branch that deploys nowhere."""
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    assert (await clone.push("main:stored")).status == 0
    return clone, sha


async def _record(world: GitWorld, old: str, new: str, ref: str = MAIN) -> Push:
    async with world.database.write_transaction() as session:
        (push,) = service.record(session, world.placed.app, world.actor, [RefUpdate(ref, old, new)])
    return push


async def _status(world: GitWorld, push: Push) -> PushStatus:
    return next(p.status for p in await world.pushes() if p.id == push.id)


async def _settle(world: GitWorld, push: Push) -> Sequence[Push]:
    async with world.database.write_transaction() as session:
        return await service.settle(
            session,
            world.repositories,
            world.placed.app.id,
            [push],
            maker=world.wiring.previews,
            atomic=False,
        )


async def test_push_whose_ref_had_moved_is_deployed_once(world: GitWorld) -> None:
    _, sha = await _stored(world)
    push = await _record(world, ZERO, sha)
    await world.repositories.update_refs(world.key, [RefUpdate(MAIN, ZERO, sha)])
    await _recover(world)
    await _recover(world)
    assert await _status(world, push) is PushStatus.DEPLOYED
    assert [d.commit_sha for d in await world.deployments()] == [sha]


async def test_push_whose_ref_had_not_moved_is_rejected(world: GitWorld) -> None:
    _, sha = await _stored(world)
    push = await _record(world, ZERO, sha)
    await _recover(world)
    assert await _status(world, push) is PushStatus.REJECTED
    assert await world.deployments() == []
    assert await _settle(world, push) != []
    assert await world.repositories.read_ref(world.key, MAIN) is None


async def test_deleted_branch_is_recovered_as_deleted(world: GitWorld) -> None:
    _, sha = await _stored(world)
    push = await _record(world, sha, ZERO, "refs/heads/gone")
    await _recover(world)
    assert await _status(world, push) is PushStatus.SKIPPED


async def test_newer_push_first_finishes_one_that_died_after_moving_its_ref(
    world: GitWorld,
) -> None:
    clone, first = await _stored(world)
    second = await clone.commit("second", a="2")
    await clone.push("main:stored")
    died = await _record(world, ZERO, first)
    await world.repositories.update_refs(world.key, [RefUpdate(MAIN, ZERO, first)])
    newer = await _record(world, first, second)
    await _settle(world, newer)
    assert [await _status(world, push) for push in (died, newer)] == [PushStatus.DEPLOYED] * 2
    assert [(d.number, d.commit_sha) for d in await world.deployments()] == [
        (1, first),
        (2, second),
    ]


async def test_waiting_push_whose_server_died_moves_its_ref_once_it_succeeded(
    world: GitWorld,
) -> None:
    _, sha = await _stored(world)
    push = await _record(world, ZERO, sha)
    async with world.database.write_transaction() as session:
        await service.begin_wait(
            session, world.repositories, world.placed.app.id, push.id, maker=world.wiring.previews
        )
    await _recover(world)
    assert await _status(world, push) is PushStatus.RECEIVED
    assert await world.repositories.read_ref(world.key, f"{HIDDEN}push/{push.id}") == sha
    (deployment,) = await world.deployments()
    await world.set_deployment(deployment, status=DeploymentStatus.SUCCEEDED)
    await _recover(world)
    assert await _status(world, push) is PushStatus.DEPLOYED
    assert await world.repositories.read_ref(world.key, MAIN) == sha


async def test_waiting_push_that_failed_is_rejected_and_forgotten(world: GitWorld) -> None:
    _, sha = await _stored(world)
    push = await _record(world, ZERO, sha)
    async with world.database.write_transaction() as session:
        await service.begin_wait(
            session, world.repositories, world.placed.app.id, push.id, maker=world.wiring.previews
        )
    (deployment,) = await world.deployments()
    await world.set_deployment(deployment, status=DeploymentStatus.FAILED)
    await _recover(world)
    assert await _status(world, push) is PushStatus.REJECTED
    assert await world.repositories.read_ref(world.key, MAIN) is None
    assert await world.repositories.read_ref(world.key, f"{HIDDEN}push/{push.id}") is None


async def test_push_recorded_before_the_project_was_deleted_is_rejected(world: GitWorld) -> None:
    _, sha = await _stored(world)
    push = await _record(world, ZERO, sha)
    await world.delete_project()
    (settled,) = await _settle(world, push)
    assert settled.status is PushStatus.REJECTED
    assert settled.reason == "the project storefront is deleted and takes no pushes"
    assert await world.repositories.read_ref(world.key, MAIN) is None
