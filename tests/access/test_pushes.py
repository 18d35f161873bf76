"""What may be pushed where: by a token for staging alone, and to an environment that is kept for some."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from app.access.find import place_of
from app.access.permissions import Permission
from app.db import WriteSession
from app.models import ApiToken, Environment, Membership, PushStatus, Role, User
from app.ports.repositories import RefUpdate
from app.pushes import service
from app.refs import ZERO
from app.tokens import service as tokens
from app.tokens.grants import actor_of
from tests.git.conftest import server as server
from tests.git.conftest import world as world
from tests.git.world import Clone, GitWorld, Ran


async def _user(session: WriteSession, world: GitWorld) -> User:
    return await session.get_one(User, world.actor.user_id)


async def _ci(world: GitWorld, environment: Environment) -> Clone:
    async with world.database.write_transaction() as session:
        _, secret = await tokens.create(
            session,
            await _user(session, world),
            "ci",
            permissions=[Permission.DEPLOY],
            place=await place_of(session, environment),
        )
    clone = await world.clone(url=world.url(secret=secret))
    await clone.commit("first", Procfile="web: true\n")
    return clone


async def _protect(world: GitWorld, roles: Sequence[Role]) -> None:
    async with world.database.write_transaction() as session:
        row = await session.get_one(Environment, world.placed.environment.id)
        row.protected_for = [role.value for role in roles]


async def _refused(world: GitWorld, ran: Ran, *words: str) -> None:
    assert ran.status != 0
    for word in words:
        assert word in ran.err, ran.err
    assert await world.deployments() == []
    assert await world.pushes() == []
    assert await world.repositories.branches(world.key) == {}


NOWHERE_ELSE = "This is outside of what this token was made for"


async def test_a_token_for_staging_deploys_staging(world: GitWorld) -> None:
    staging = await world.environment("staging", "staging")
    clone = await _ci(world, staging.environment)
    ran = await clone.push("-o", "no-wait", "main:staging")
    assert ran.status == 0, ran
    (deployment,) = await world.deployments()
    assert deployment.instance_id == staging.instance.id


@pytest.mark.parametrize(
    "refs",
    [
        ("main",),
        ("main", "main:staging"),
        ("main:feature",),
        ("main:refs/tags/v1",),
    ],
    ids=["production", "production-and-staging", "nowhere", "tag"],
)
async def test_it_pushes_nothing_that_goes_anywhere_else(
    world: GitWorld, refs: tuple[str, ...]
) -> None:
    staging = await world.environment("staging", "staging")
    clone = await _ci(world, staging.environment)
    ran = await clone.push("-o", "no-wait", *refs)
    await _refused(world, ran, "Refused as a whole", NOWHERE_ELSE)


async def test_a_branch_that_also_deploys_production_is_refused_and_says_so(
    world: GitWorld,
) -> None:
    staging = await world.environment("staging", "main")
    clone = await _ci(world, staging.environment)
    ran = await clone.push("-o", "no-wait", "main")
    await _refused(world, ran, "belongs to the environment production", NOWHERE_ELSE)


async def test_it_deletes_no_branch_of_production_and_fetches_nothing(world: GitWorld) -> None:
    staging = await world.environment("staging", "staging")
    owner = await world.clone()
    sha = await owner.commit("first", Procfile="web: true\n")
    assert (await owner.push("-o", "no-wait", "main")).status == 0
    clone = await _ci(world, staging.environment)
    assert NOWHERE_ELSE in (await clone.push("--delete", "main")).err
    assert await world.repositories.branches(world.key) == {"main": sha}
    fetched = await clone.git("fetch", clone.remote)
    assert fetched.status != 0
    assert "403" in fetched.err


async def test_to_a_protected_environment_only_the_roles_it_is_kept_for_push(
    world: GitWorld,
) -> None:
    async with world.database.write_transaction() as session:
        own = Membership.user_id == world.actor.user_id
        (row,) = (await session.scalars(select(Membership).where(own))).all()
        row.role = Role.DEVELOPER
    await _protect(world, [Role.ADMIN])
    clone = await world.clone()
    sha = await clone.commit("first", Procfile="web: true\n")
    ran = await clone.push("-o", "no-wait", "main")
    await _refused(world, ran, "production", "is protected, and your role here is developer")
    await _protect(world, [Role.DEVELOPER])
    assert (await clone.push("-o", "no-wait", "main")).status == 0
    assert await world.repositories.branches(world.key) == {"main": sha}


async def test_a_push_whose_right_is_lost_before_it_is_settled_deploys_nothing(
    world: GitWorld,
) -> None:
    clone = await world.clone()
    await clone.commit("first", Procfile="web: true\n")
    await clone.push("-o", "no-wait", "main:elsewhere")
    sha = (await world.repositories.branches(world.key))["elsewhere"]
    async with world.database.write_transaction() as session:
        token, _ = await tokens.create(
            session,
            await _user(session, world),
            "ci",
            place=await place_of(session, world.placed.environment),
        )
        actor = actor_of(token, await _user(session, world))
        update = RefUpdate("refs/heads/main", ZERO, sha)
        (push,) = service.record(session, world.placed.app, actor, [update])
    async with world.database.write_transaction() as session:
        await session.delete(await session.get_one(ApiToken, token.id))
    async with world.database.write_transaction() as session:
        (settled,) = await service.settle(
            session,
            world.repositories,
            world.placed.app.id,
            [push],
            maker=world.wiring.previews,
            atomic=False,
        )
        assert settled.status is PushStatus.SKIPPED
        assert "may not deploy to production any more" in (settled.reason or "")
