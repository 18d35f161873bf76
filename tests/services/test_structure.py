"""Organizations, projects, environments and apps: what creating, changing and deleting them does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from sqlalchemy import func, select

from app.access import find
from app.access.actor import OPERATOR
from app.apps import queries as app_queries
from app.apps import service as apps
from app.environments import queries as environment_queries
from app.environments import service as environments
from app.errors import (
    DefaultEnvironment,
    Forbidden,
    InvalidInput,
    NotFound,
    PaasError,
    PreconditionFailed,
    Taken,
)
from app.models import Environment, Instance, Organization, Project
from app.organizations import service as organizations
from app.projects import queries as project_queries
from app.projects import service as projects
from tests.services.conftest import BASE, World, blocked_or_done


async def _hostnames(world: World) -> list[str]:
    async with world.database.read_session() as session:
        return list(await session.scalars(select(Instance.hostname).order_by(Instance.hostname)))


async def _outcomes(*works: Awaitable[object]) -> tuple[int, list[BaseException]]:
    """How many succeeded, and what the others raised."""
    results = await asyncio.gather(*works, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    return len(results) - len(failures), failures


async def test_a_project_starts_with_production_on_main_as_its_default(world: World) -> None:
    async with world.database.read_session() as session:
        [environment] = await environment_queries.list_of(session, world.viewer, world.storefront)
    assert (environment.slug, environment.branch_pattern) == ("production", "main")
    assert environment.is_default


async def test_every_pair_is_an_instance_whichever_side_comes_second(world: World) -> None:
    await world.app("web")
    await world.environment("staging", pattern="staging")
    await world.app("api")
    assert await _hostnames(world) == [
        "acme.storefront-api-production.apps.example.com",
        "acme.storefront-api-staging.apps.example.com",
        "acme.storefront-web-production.apps.example.com",
        "acme.storefront-web-staging.apps.example.com",
    ]


async def test_an_app_and_an_environment_created_at_once_still_meet(world: World) -> None:
    async with world.database.write_transaction() as session:
        await apps.create(session, world.owner, world.storefront, slug="web", wildcard_base=BASE)
        second = asyncio.create_task(world.environment("staging"))
        await blocked_or_done(world.database, second)
    await second
    assert await _hostnames(world) == [
        "acme.storefront-web-production.apps.example.com",
        "acme.storefront-web-staging.apps.example.com",
    ]


async def test_of_duplicates_created_at_once_exactly_one_wins(world: World) -> None:
    creations: list[Callable[[], Awaitable[object]]] = [
        lambda: world.write(lambda s: organizations.create(s, world.stranger, slug="one")),
        lambda: world.project("one"),
        lambda: world.environment("one"),
        lambda: world.app("one"),
    ]
    for create in creations:
        succeeded, failures = await _outcomes(*(create() for _ in range(5)))
        assert succeeded == 1
        assert [type(f) for f in failures] == [Taken] * 4, failures


async def test_two_places_that_spell_one_hostname_cannot_both_be(world: World) -> None:
    first = await world.project("a-b")
    second = await world.project("a")
    succeeded, failures = await _outcomes(
        world.app("c", project=first), world.app("b-c", project=second)
    )
    assert succeeded == 1
    assert [type(failure) for failure in failures] == [Taken]
    assert "acme.a-b-c-production.apps.example.com" in str(failures[0])
    assert len(await _hostnames(world)) == 1


async def test_a_label_over_63_characters_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(InvalidInput, match="64 characters"):
        await world.app("x" * (64 - len("storefront--production")))
    async with world.database.read_session() as session:
        assert await app_queries.list_of(session, world.owner, world.storefront) == []


async def test_the_same_slug_may_stand_in_two_organizations(world: World) -> None:
    async with world.database.write_transaction() as session:
        evil = await find.organization(session, world.stranger, slug="evil")
        assert await projects.create(session, world.stranger, evil, slug="storefront")


async def test_the_default_moves_when_another_is_made_it(world: World) -> None:
    staging = await world.environment("staging", make_default=True)
    async with world.database.read_session() as session:
        rows = await environment_queries.list_of(session, world.owner, world.storefront)
    assert [(row.slug, row.is_default) for row in rows] == [
        ("staging", True),
        ("production", False),
    ]
    production = next(row for row in rows if row.slug == "production")
    await world.write(lambda s: environments.update(s, world.owner, production, make_default=True))
    async with world.database.read_session() as session:
        assert not (await session.get_one(Environment, staging.id)).is_default


async def test_the_default_is_neither_deleted_nor_simply_dropped(world: World) -> None:
    async with world.database.read_session() as session:
        [production] = await environment_queries.live_in(session, world.storefront.id)
    with pytest.raises(DefaultEnvironment) as refused:
        await world.write(lambda s: environments.delete(s, world.owner, production))
    assert '{"makeDefault": true}' in (refused.value.hint or "")
    with pytest.raises(DefaultEnvironment):
        await world.write(
            lambda s: environments.update(s, world.owner, production, make_default=False)
        )
    await world.environment("staging", make_default=True)
    deleted = await world.write(lambda s: environments.delete(s, world.owner, production))
    assert deleted.deleted_at is not None


async def test_of_two_defaults_made_at_once_one_remains(world: World) -> None:
    await _outcomes(*(world.environment(f"e{n}", make_default=True) for n in range(5)))
    async with world.database.read_session() as session:
        count = select(func.count()).where(Environment.is_default).select_from(Environment)
        assert await session.scalar(count) == 1


async def test_a_deleted_environment_is_gone_to_everyone_and_waits_for_teardown(
    world: World,
) -> None:
    app = await world.app("web")
    staging = await world.environment("staging")
    await world.write(lambda s: environments.delete(s, world.owner, staging))
    async with world.database.read_session() as session:
        with pytest.raises(NotFound):
            await find.instance(
                session, world.owner, slugs=("acme", "storefront", "web", "staging")
            )
        waiting = await project_queries.instances_to_tear_down(session)
        instance = await session.get_one(Instance, waiting[0])
        assert (instance.app_id, instance.environment_id) == (app.id, staging.id)
        assert await project_queries.environments_to_tear_down(session) == [staging.id]
    with pytest.raises(NotFound):
        await world.write(lambda s: environments.delete(s, world.owner, staging))
    with pytest.raises(Taken, match="already has an environment staging"):
        await world.environment("staging")
    await world.app("api")
    assert "acme.storefront-api-staging.apps.example.com" not in await _hostnames(world)


async def test_a_deleted_app_is_gone_and_its_instances_wait_for_teardown(world: World) -> None:
    app = await world.app("web")
    await world.write(lambda s: apps.delete(s, world.owner, app))
    async with world.database.read_session() as session:
        with pytest.raises(NotFound):
            await find.app(session, world.owner, id=app.id)
        assert await project_queries.apps_to_tear_down(session) == [app.id]
        assert len(await project_queries.instances_to_tear_down(session)) == 1


async def test_deleting_wakes_whoever_reconciles_the_instances(world: World) -> None:
    app = await world.app("web")
    heard: list[str] = []
    connection = await asyncpg.connect(world.database.url)
    await connection.add_listener("paas_wake", lambda *told: heard.append(told[-1]))
    await world.write(lambda s: apps.delete(s, world.owner, app))
    await connection.execute("SELECT 1")
    await connection.close()
    async with world.database.read_session() as session:
        instance_ids = await app_queries.instance_ids(session, app.id)
    assert heard == [f"instance:{instance_ids[0]}", f"teardown:{app.id}"]


async def test_a_deleted_project_takes_nothing_until_it_is_restored(world: World) -> None:
    app = await world.app("web")
    await world.write(lambda s: projects.delete(s, world.owner, world.storefront))
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: world.app("api"),
        lambda: world.environment("staging"),
        lambda: world.write(lambda s: apps.update(s, world.owner, app, display_name="W")),
        lambda: world.write(lambda s: apps.delete(s, world.owner, app)),
    ]
    for change in refused:
        with pytest.raises(PreconditionFailed, match="deleted"):
            await change()
    async with world.database.read_session() as session:
        assert await project_queries.list_of(session, world.owner, world.acme) == []
        [listed] = await project_queries.list_of(
            session, world.owner, world.acme, include_deleted=True
        )
    assert listed.deleted_at is not None
    restored = await world.write(lambda s: projects.restore(s, world.owner, listed))
    assert restored.deleted_at is None
    assert await world.app("api")


async def test_a_deleted_project_keeps_its_slug(world: World) -> None:
    await world.write(lambda s: projects.delete(s, world.owner, world.storefront))
    with pytest.raises(Taken, match="storefront"):
        await world.project("storefront")


async def test_only_an_operator_purges_and_only_what_is_deleted(world: World) -> None:
    await world.app("web")
    with pytest.raises(Forbidden):
        await world.write(lambda s: projects.purge(s, world.owner, world.storefront))
    with pytest.raises(PreconditionFailed, match="only a deleted"):
        await world.write(lambda s: projects.purge(s, OPERATOR, world.storefront))
    await world.write(lambda s: projects.delete(s, world.owner, world.storefront))
    purged = await world.write(lambda s: projects.purge(s, OPERATOR, world.storefront))
    async with world.database.read_session() as session:
        assert await project_queries.projects_to_purge(session) == [purged.id]
        assert len(await project_queries.instances_to_tear_down(session)) == 1
    with pytest.raises(PreconditionFailed, match="purged"):
        await world.write(lambda s: projects.restore(s, world.owner, world.storefront))


async def test_an_organization_is_deleted_only_when_it_is_empty(world: World) -> None:
    async def delete() -> None:
        async with world.database.write_transaction() as session:
            acme = await find.organization(session, world.owner, slug="acme")
            await organizations.delete(session, world.owner, acme)

    with pytest.raises(PreconditionFailed, match="projects"):
        await delete()
    await world.write(lambda s: projects.delete(s, world.owner, world.storefront))
    with pytest.raises(PreconditionFailed, match="purged"):
        await delete()
    async with world.database.write_transaction() as session:
        await session.delete(await session.get_one(Project, world.storefront.id))
    await delete()
    async with world.database.read_session() as reading:
        assert await reading.get(Organization, world.acme.id) is None


@pytest.mark.parametrize("port", [0, -1, 65536, 2**40])
async def test_a_port_that_does_not_exist_is_refused(world: World, port: int) -> None:
    with pytest.raises(InvalidInput, match="65535"):
        await world.write(
            lambda s: apps.create(
                s, world.owner, world.storefront, slug="w", container_port=port, wildcard_base=BASE
            )
        )


async def test_every_refusal_says_what_happened_in_words(world: World) -> None:
    with pytest.raises(PaasError) as refused:
        await world.project("Store")
    assert refused.value.message.endswith(".")
    assert refused.value.hint
