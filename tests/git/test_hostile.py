"""Tenants who wish the server, or one another, ill."""

from __future__ import annotations

import asyncio
import stat

import pytest

from app.access import find, members, users
from app.access.actor import OPERATOR, Actor
from app.adapters.git import process
from app.models import Role
from app.ports.repositories import ReceivedPush, RefUpdate
from app.pushes.handler import Pushes, PushHandler
from app.refs import ZERO
from app.tokens import service as tokens
from tests.git.world import Clone, GitWorld


async def commit_of(clone: Clone, megabytes: int, *options: str) -> str:
    """Of little but one character, so that all of it is a few kilobytes on the wire."""
    await clone.commit("first", index__html="hello")
    message = clone.folder / ".git" / "long"
    message.write_text(("a" * 1023 + "\n") * 1024 * megabytes)
    tree = await clone.ok("rev-parse", "HEAD^{tree}")
    return await clone.ok("commit-tree", tree, *options, "-F", str(message))


async def test_a_commit_that_unfolds_beyond_reason_is_not_read(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await commit_of(clone, 2)
    ran = await clone.push("-o", "no-wait", f"{sha}:refs/heads/main")
    assert ran.status == 0, ran
    (deployment,) = await world.deployments()
    assert (deployment.commit_sha, deployment.commit_message) == (sha, None)


async def test_a_long_message_is_kept_in_part(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("x" * 50_000, index__html="hello")
    ran = await clone.push("-o", "no-wait", "main")
    assert ran.status == 0, ran
    (deployment,) = await world.deployments()
    assert deployment.commit_message == "x" * 10_000


async def test_git_is_given_so_much_memory_for_a_push_and_no_more(
    world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = await world.clone()
    sha = await commit_of(clone, 64)
    monkeypatch.setattr(process, "_MEMORY_BYTES", 32 * 1024**2)
    ran = await clone.push("-o", "no-wait", f"{sha}:refs/heads/main")
    assert ran.status != 0
    assert "Out of memory" in ran.err, ran
    assert await world.repositories.branches(world.key) == {}


async def test_a_shallow_push_has_no_more_read_than_fits(world: GitWorld) -> None:
    elsewhere = await world.clone()
    sha = await commit_of(elsewhere, 9, "-p", "HEAD")
    await elsewhere.ok("update-ref", "refs/heads/main", sha)
    shallow = await world.clone()
    await shallow.ok("fetch", "-q", "--depth=1", f"file://{elsewhere.folder}", "main")
    ran = await shallow.push("FETCH_HEAD:refs/heads/topic")
    assert ran.status != 0
    assert "ends in too many commits" in ran.err, ran
    assert await world.repositories.branches(world.key) == {}


async def test_other_users_of_the_machine_cannot_enter_the_repositories(world: GitWorld) -> None:
    await world.repositories.create(world.key)
    assert stat.S_IMODE(world.repository.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("lost", ["token", "role", "membership"])
async def test_a_push_by_somebody_who_lost_the_right_meanwhile_moves_nothing(
    world: GitWorld, lost: str
) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", index__html="hello")
    secret = await world.member("eve", Role.DEVELOPER)
    async with world.database.write_transaction() as session:
        actor = await tokens.authenticate(session, secret)
        app = await find.app(session, actor, id=world.placed.app.id)
        place = await find.place_of(session, app)
    wiring = world.wiring
    parts = Pushes(
        wiring.database, wiring.repositories, wiring.settings, wiring.secret_box, wiring.wakes
    )
    handler = PushHandler(parts, actor, place)
    await lose(world, actor, lost)
    update = RefUpdate("refs/heads/main", ZERO, sha)
    (result,) = await handler(ReceivedPush([update], {}, False, _Terminal()))
    assert result.error
    assert await world.pushes() == []


async def lose(world: GitWorld, actor: Actor, what: str) -> None:
    async with world.database.write_transaction() as session:
        user = await users.of_actor(session, actor)
        organization = world.placed.organization
        if what == "token":
            await tokens.revoke(session, OPERATOR, actor.token_id or "")
        elif what == "role":
            await members.set_role(session, OPERATOR, organization, user, Role.VIEWER)
        else:
            await members.remove(session, OPERATOR, organization, user)


class _Terminal:
    gone = asyncio.Event()

    async def say(self, line: str) -> None:
        """Nobody looks."""
