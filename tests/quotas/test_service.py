"""An organization grows up to its quota, by whichever way, and no further."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from app.access.actor import OPERATOR
from app.db import Database, WriteSession
from app.environments import service as environments
from app.errors import Forbidden, LimitReached
from app.instances import service as instances
from app.models import Build, BuildStatus, Instance
from app.projects import service as projects
from app.quotas import queries, service
from app.quotas.plan import Limits
from tests.factories import make_build
from tests.services.conftest import BASE, World
from tests.services.conftest import world as world


async def limit(world: World, **given: int | None) -> None:
    await world.write(lambda s: service.set_limits(s, OPERATOR, world.acme, given))


async def only_instance(database: Database) -> Instance:
    async with database.read_session() as session:
        return (await session.scalars(select(Instance))).one()


async def test_the_last_app_of_two_at_once_is_refused(world: World, database: Database) -> None:
    await limit(world, apps=2)
    await world.app("web")
    answers = await asyncio.gather(world.app("a"), world.app("b"), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(error) for error in refused] == [LimitReached]
    assert "may have 2 apps; this would make 3" in str(refused[0])
    async with database.read_session() as session:
        assert (await queries.usage_of(session, world.acme.id)).apps == 2


async def test_each_way_to_grow_is_measured(world: World, database: Database) -> None:
    await world.app("web")
    instance = await only_instance(database)
    await limit(world, replicas=1)

    def scale(replicas: int) -> Callable[[WriteSession], Awaitable[Any]]:
        return lambda s: instances.set_scale(
            s, world.owner, instance, replicas=replicas, cpu_millis=None, memory_mb=None
        )

    def environment(session: WriteSession) -> Awaitable[Any]:
        return environments.create(
            session,
            world.owner,
            world.storefront,
            slug="staging",
            branch_pattern="*",
            wildcard_base=BASE,
        )

    for work in (scale(2), environment):
        with pytest.raises(LimitReached):
            await world.write(work)
    await world.write(lambda s: projects.delete(s, world.owner, world.storefront))
    other = await world.project("other")
    await world.app("web", project=other)
    with pytest.raises(LimitReached):
        await world.write(lambda s: projects.restore(s, world.owner, world.storefront))


async def test_a_lowered_limit_takes_nothing_away(world: World, database: Database) -> None:
    await world.app("web")
    instance = await only_instance(database)
    await world.write(lambda s: instances.set_scale(s, world.owner, instance, replicas=5))
    await limit(world, replicas=2)
    await world.write(lambda s: instances.set_scale(s, world.owner, instance, replicas=4))
    with pytest.raises(LimitReached):
        await world.write(lambda s: instances.set_scale(s, world.owner, instance, replicas=5))


async def test_the_default_holds_where_nothing_else_does(world: World) -> None:
    await world.write(lambda s: service.set_limits(s, OPERATOR, None, {"apps": 1, "replicas": 9}))
    await limit(world, apps=3)
    async with world.database.read_session() as session:
        assert await queries.limits_of(session, world.acme.id) == Limits(apps=3, replicas=9)
    await limit(world, apps=None)
    async with world.database.read_session() as session:
        assert (await queries.limits_of(session, world.acme.id)).apps == 1


async def test_no_more_builds_run_at_once_than_may(world: World, database: Database) -> None:
    app = await world.app("web")
    await limit(world, concurrent_builds=1)
    build = await make_build(database, app, status=BuildStatus.RUNNING)
    assert not await world.write(lambda s: service.may_build(s, world.acme.id))
    async with database.write_transaction() as session:
        (await session.get_one(Build, build.id)).status = BuildStatus.SUCCEEDED
    assert await world.write(lambda s: service.may_build(s, world.acme.id))


async def test_only_an_operator_sets_quotas(world: World) -> None:
    with pytest.raises(Forbidden):
        await world.write(lambda s: service.set_limits(s, world.owner, world.acme, {"apps": 99}))
