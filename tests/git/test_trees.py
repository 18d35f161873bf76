"""What `paas deploy` sends: files for an environment, on a ref that only a push can see."""

from __future__ import annotations

import pytest

from app.models import PushStatus
from tests.git.world import GitWorld

TREE = "refs/paas/trees/production"


async def test_files_are_stored_and_deploy_nothing_by_themselves(world: GitWorld) -> None:
    clone = await world.clone()
    first = await clone.commit("first", a="1")
    assert (await clone.push(f"+main:{TREE}")).status == 0
    await clone.ok("commit", "-q", "--amend", "-m", "others")
    second = await clone.ok("rev-parse", "HEAD")
    ran = await clone.push(f"+main:{TREE}")
    assert ran.status == 0, ran
    assert (
        "[paas] skipped: files for production were stored; `paas deploy` deploys them" in ran.remote
    )
    assert [push.status for push in await world.pushes()] == [PushStatus.SKIPPED] * 2
    assert await world.deployments() == []
    assert await world.repositories.read_ref(world.key, TREE) == second
    for sha in (first, second):
        assert await world.repositories.resolve(world.key, sha) == sha


async def test_whoever_fetches_does_not_see_them(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("main:topic")
    await clone.commit("second", a="2")
    await clone.push(f"main:{TREE}")
    assert "refs/paas" not in await clone.ok("ls-remote", clone.remote)
    assert set(await world.repositories.branches(world.key)) == {"topic"}


@pytest.mark.parametrize("name", ["Production", "a/b", "-x", "a--b", "x" * 64])
async def test_what_no_environment_can_be_called_is_refused(world: GitWorld, name: str) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push(f"main:refs/paas/trees/{name}")
    assert ran.status == 1, ran
    assert await world.pushes() == []
