"""Deletes, tags, force-pushes, odd names, options: each has a defined answer."""

from __future__ import annotations

import asyncio

import pytest

from app.models import DeploymentStatus, PushStatus, Role
from app.refs import HIDDEN
from tests.git.world import GitWorld


async def test_deleting_a_branch_is_accepted_and_deploys_nothing(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main")
    ran = await clone.push("--delete", "main")
    assert ran.status == 0, ran
    reason = "the branch 'main' was deleted; what it deployed keeps running"
    assert ran.remote == [f"[paas] skipped: {reason}"]
    assert await world.repositories.branches(world.key) == {}
    assert len(await world.deployments()) == 1
    assert [push.status for push in await world.pushes()] == [
        PushStatus.DEPLOYED,
        PushStatus.SKIPPED,
    ]


async def test_tag_is_stored_and_not_deployed(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.ok("tag", "-a", "v1", "-m", "one")
    ran = await clone.push("v1")
    assert ran.status == 0, ran
    assert ran.remote == ["[paas] skipped: the tag 'v1' was stored; tags are not deployed"]
    sha = await clone.ok("rev-parse", "v1^{commit}")
    assert await world.repositories.resolve(world.key, "v1") == sha
    assert await world.deployments() == []


async def test_force_push_is_accepted_said_and_deployed(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main")
    lost = await clone.ok("rev-parse", "HEAD")
    await clone.ok("commit", "-q", "--amend", "-m", "rewritten")
    assert (await clone.push("main")).status != 0
    ran = await clone.push("-o", "no-wait", "--force", "main")
    assert ran.status == 0, ran
    assert any("History was rewritten" in line and lost[:12] in line for line in ran.remote)
    assert len(await world.deployments()) == 2


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("refs/notes/x", "only branches (refs/heads/) and tags (refs/tags/) are kept here"),
        ("refs/paas/push/x", "deny updating a hidden ref"),
        ("refs/heads/-rf", "its name starts with '-'"),
        ("refs/heads/" + "é" * 600, "its name is longer than 1000 bytes"),
    ],
)
async def test_ref_that_cannot_be_is_refused_and_the_others_are_taken(
    world: GitWorld, ref: str, reason: str
) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push(f"main:{ref}", "main:topic")
    assert ran.status == 1, ran
    assert f"({reason})" in ran.err
    assert list(await world.repositories.branches(world.key)) == ["topic"]


async def test_ref_that_stands_in_the_way_of_another_is_refused_with_gits_reason(
    world: GitWorld,
) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("main:topic")
    ran = await clone.push("main:topic/sub")
    assert ran.status == 1
    assert "'refs/heads/topic' exists" in ran.err
    assert str(world.scratch.parent) not in ran.err


async def test_branch_that_is_not_a_commit_is_refused(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    blob = await clone.ok("rev-parse", "HEAD:a")
    ran = await clone.push(f"{blob}:refs/heads/blob")
    assert ran.status == 1
    assert "non-commit object" in ran.err
    assert (await world.pushes())[0].status is PushStatus.REJECTED


async def test_no_wait_returns_while_the_deployment_is_queued(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push("-o", "no-wait", "main")
    assert ran.status == 0, ran
    assert "-----> Queued deployment #1 to production" in ran.remote
    assert [d.status for d in await world.deployments()] == [DeploymentStatus.QUEUED]


async def test_wait_moves_the_ref_only_after_success(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    pushing = asyncio.create_task(clone.push("-o", "wait", "main"))
    (deployment,) = await world.queued()
    assert await world.repositories.branches(world.key) == {}
    assert await world.repositories.resolve(world.key, sha) == sha
    await world.set_deployment(deployment, status=DeploymentStatus.SUCCEEDED)
    ran = await pushing
    assert ran.status == 0, ran
    assert await world.repositories.branches(world.key) == {"main": sha}
    (push,) = await world.pushes()
    assert push.status is PushStatus.DEPLOYED
    assert await world.repositories.read_ref(world.key, f"{HIDDEN}push/{push.id}") is None


async def test_wait_rejects_the_ref_when_the_deployment_fails(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    async with world.worker(DeploymentStatus.FAILED, failure_message="It never listened."):
        ran = await clone.push("-o", "wait", "main")
    assert ran.status == 1, ran
    assert "the deployment to production did not succeed: It never listened." in ran.err
    assert await world.repositories.branches(world.key) == {}
    assert (await world.pushes())[0].status is PushStatus.REJECTED


async def test_wait_rejects_the_ref_when_nothing_matches(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push("-o", "wait", "main:other")
    assert ran.status == 1, ran
    assert "(skipped: no environment deploys the branch 'other'" in ran.err
    assert await world.repositories.branches(world.key) == {}


async def test_wait_and_the_branch_moved_meanwhile_is_told_to_fetch_first(
    world: GitWorld,
) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    pushing = asyncio.create_task(clone.push("-o", "wait", "main"))
    (deployment,) = await world.queued()
    other = await world.clone()
    theirs = await other.commit("theirs", b="1")
    assert (await other.push("-o", "no-wait", "main")).status == 0
    await world.set_deployment(deployment, status=DeploymentStatus.SUCCEEDED)
    ran = await pushing
    assert ran.status == 1
    assert "fetch first" in ran.err
    assert await world.repositories.branches(world.key) == {"main": theirs}


async def test_unknown_option_is_said_and_ignored(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push("-o", "speed=high", "-o", "no-wait", "main")
    assert ran.status == 0, ran
    known = "is not known and was ignored; known are wait and no-wait."
    assert f" !     The push option 'speed=high' {known}" in ran.remote


async def test_two_environments_of_one_pattern_deploy_and_lines_name_them(
    world: GitWorld,
) -> None:
    await world.environment("staging", "feature/*")
    await world.environment("preview", "feature/*")
    await world.environment("rest", "*")
    clone = await world.clone()
    await clone.commit("first", a="1")
    async with world.worker():
        ran = await clone.push("main:feature/a/b")
    assert await world.deployed_to() == ["preview", "staging"]
    live = [line for line in ran.remote if "Live" in line]
    assert [line.split("]")[0] for line in live] == ["-----> [preview", "-----> [staging"]


async def test_several_refs_in_one_push_are_each_answered(world: GitWorld) -> None:
    await world.environment("staging", "staging")
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.ok("tag", "v1")
    async with world.worker():
        ran = await clone.push("main", "main:staging", "main:other", "v1")
    assert ran.status == 0, ran
    assert await world.deployed_to() == ["production", "staging"]
    assert sum(line.startswith("[paas] skipped: ") for line in ran.remote) == 2
    assert set(await world.repositories.branches(world.key)) == {"main", "staging", "other"}


async def test_atomic_push_with_one_refused_ref_moves_none(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("main:topic")
    ran = await clone.push("--atomic", "main:fine", "main:topic/sub")
    assert ran.status == 1
    assert "the atomic push was refused" in ran.err
    assert list(await world.repositories.branches(world.key)) == ["topic"]
    ran = await clone.push("--atomic", "main:fine", "main:good")
    assert ran.status == 0, ran
    assert sorted(await world.repositories.branches(world.key)) == ["fine", "good", "topic"]


async def test_push_to_an_app_of_a_deleted_project_is_refused_at_once(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main")
    await world.delete_project()
    await clone.commit("second", a="2")
    ran = await clone.push("main")
    assert ran.status == 128
    assert (
        "The project storefront is deleted: it takes no pushes, deploys or changes." in ran.remote
    )
    assert (await clone.git("ls-remote", clone.remote)).status == 0
    assert len(await world.pushes()) == 1


async def test_of_two_pushes_racing_on_one_branch_exactly_one_wins(world: GitWorld) -> None:
    clones = [await world.clone() for _ in range(4)]
    for number, clone in enumerate(clones):
        await clone.commit(f"by {number}", a=str(number))
    ran = await asyncio.gather(*(clone.push("-o", "no-wait", "main") for clone in clones))
    won = [number for number, one in enumerate(ran) if one.status == 0]
    assert len(won) == 1, ran
    assert all("fetch first" in one.err for one in ran if one.status)
    (deployment,) = await world.deployments()
    assert deployment.commit_message == f"by {won[0]}"


async def test_branch_that_head_names_may_be_deleted_and_made_again(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    for arguments in (["main"], ["--delete", "main"], ["main"]):
        assert (await clone.push("-o", "no-wait", *arguments)).status == 0
    assert list(await world.repositories.branches(world.key)) == ["main"]


async def test_viewer_may_fetch_and_not_push(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("main:topic")
    secret = await world.member("vera", Role.VIEWER)
    clone.remote = world.url(secret=secret)
    assert (await clone.git("ls-remote", clone.remote)).status == 0
    ran = await clone.push("main:topic2")
    assert ran.status == 128
    assert "403" in ran.err
