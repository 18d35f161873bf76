"""Who may see and do what: roles within an organization, and nothing at all across organizations."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import pytest

from app.access import find, members, users
from app.access.actor import OPERATOR, Actor
from app.access.find import scope_of
from app.access.permissions import PERMISSIONS, Permission, require
from app.errors import Forbidden, NotFound, PreconditionFailed
from app.ids import new_id
from app.models import Role
from app.organizations import queries as organization_queries
from app.projects import service as projects
from tests.services.conftest import World

SLUGS = ("acme", "storefront", "web", "production")
LOOKUPS: dict[Any, int] = {
    find.organization: 1,
    find.project: 2,
    find.environment: 3,
    find.app: 3,
    find.instance: 4,
}


def _slugs_for(lookup: Any, slugs: tuple[str, ...] = SLUGS) -> dict[str, object]:
    if lookup is find.organization:
        return {"slug": slugs[0]}
    if lookup is find.environment:
        return {"slugs": (slugs[0], slugs[1], slugs[3])}
    return {"slugs": slugs[: LOOKUPS[lookup]]}


@pytest.mark.parametrize("lookup", LOOKUPS)
async def test_members_find_by_slugs_what_they_find_by_id(world: World, lookup: Any) -> None:
    await world.app("web")
    async with world.database.read_session() as session:
        for actor in (world.viewer, world.owner, OPERATOR):
            found = await lookup(session, actor, **_slugs_for(lookup))
            assert await lookup(session, actor, id=found.id) is found


@pytest.mark.parametrize("lookup", LOOKUPS)
async def test_another_organizations_object_is_answered_exactly_as_a_missing_one(
    world: World, lookup: Any
) -> None:
    await world.app("web")
    async with world.database.read_session() as session:
        found = await lookup(session, world.owner, **_slugs_for(lookup))
        missing = _slugs_for(lookup, ("nope", "nope", "nope", "nope"))
        answers = set()
        for asked in (
            {"id": found.id},
            {"id": new_id(found.id.split("_")[0])},
            _slugs_for(lookup),
            missing,
            {"id": "' OR 1=1 --"},
            {"id": "\0"},
            _slugs_for(lookup, ("\0", "-x", "\ud800", "..")),
        ):
            with pytest.raises(NotFound) as refused:
                await lookup(session, world.stranger, **asked)
            answers.add((refused.value.message, refused.value.hint, refused.value.field))
    assert len(answers) == 1


async def test_slugs_are_looked_up_in_their_own_project_only(world: World) -> None:
    await world.app("web")
    await world.project("other")
    async with world.database.read_session() as session:
        with pytest.raises(NotFound):
            await find.app(session, world.owner, slugs=("acme", "other", "web"))
        with pytest.raises(NotFound):
            await find.instance(session, world.owner, slugs=("acme", "storefront", "web", "nope"))


@pytest.mark.parametrize("number", [0, -1, 1, 2**31, 2**70])
async def test_a_deployment_number_that_never_was_is_not_found(world: World, number: int) -> None:
    await world.app("web")
    async with world.database.read_session() as session:
        with pytest.raises(NotFound):
            await find.deployment(session, world.owner, slugs=SLUGS, number=number)


async def test_a_place_is_spelled_from_the_top(world: World) -> None:
    await world.app("web")
    async with world.database.read_session() as session:
        instance = await find.instance(session, world.owner, slugs=SLUGS)
        place = await find.place_of(session, instance)
        environment = await find.environment(
            session, world.owner, slugs=("acme", "storefront", "production")
        )
        assert place.path == "acme/storefront/web/production"
        assert (await find.place_of(session, environment)).path == "acme/storefront/production"
        assert (await find.place_of(session, world.storefront)).path == "acme/storefront"


@pytest.mark.parametrize("permission", Permission)
async def test_each_role_has_what_the_table_gives_it_and_no_more(
    world: World, permission: Permission
) -> None:
    actors = {
        Role.OWNER: world.owner,
        Role.ADMIN: world.admin,
        Role.DEVELOPER: world.developer,
        Role.VIEWER: world.viewer,
    }
    async with world.database.read_session() as session:
        for role, actor in actors.items():
            if permission in PERMISSIONS[role]:
                await require(session, actor, scope_of(world.acme), permission)
            else:
                with pytest.raises(Forbidden) as refused:
                    await require(session, actor, scope_of(world.acme), permission)
                assert "owner" in (refused.value.hint or "")
        await require(session, OPERATOR, scope_of(world.acme), permission)
        with pytest.raises(NotFound):
            await require(session, world.stranger, scope_of(world.acme), permission)


def test_a_viewer_changes_nothing_and_reads_no_secret() -> None:
    assert {Permission.READ, Permission.CODE_READ} == PERMISSIONS[Role.VIEWER]


def test_a_higher_role_may_do_all_that_a_lower_one_may() -> None:
    ladder = [PERMISSIONS[role] for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN, Role.OWNER)]
    assert all(lower < higher for lower, higher in itertools.pairwise(ladder))


async def test_everybody_lists_only_their_own_organizations(world: World) -> None:
    async def listed(actor: Actor) -> list[str]:
        async with world.database.read_session() as session:
            return [o.slug for o in await organization_queries.list_visible(session, actor)]

    assert await listed(world.viewer) == ["acme"]
    assert await listed(world.stranger) == ["evil"]
    assert await listed(OPERATOR) == ["acme", "evil"]
    assert await listed(Actor(user_id=None, name="nobody")) == []


async def test_a_member_can_be_changed_and_removed(world: World) -> None:
    async with world.database.write_transaction() as session:
        user = await users.by_name(session, "vera")
        await members.set_role(session, world.admin, world.acme, user, Role.DEVELOPER)
        rows = await members.list_of(session, world.viewer, world.acme)
        assert [(user.name, member.role.value) for member, user in rows] == [
            ("adam", "admin"),
            ("dora", "developer"),
            ("olga", "owner"),
            ("vera", "developer"),
        ]
        await members.remove(session, world.admin, world.acme, user)
        with pytest.raises(NotFound):
            await members.list_of(session, world.viewer, world.acme)
        with pytest.raises(NotFound):
            await members.remove(session, world.admin, world.acme, user)


async def test_an_admin_makes_no_owner_and_unmakes_none(world: World) -> None:
    async with world.database.write_transaction() as session:
        olga = await users.by_name(session, "olga")
        adam = await users.by_name(session, "adam")
        with pytest.raises(Forbidden):
            await members.set_role(session, world.admin, world.acme, adam, Role.OWNER)
        with pytest.raises(Forbidden):
            await members.set_role(session, world.admin, world.acme, olga, Role.VIEWER)
        with pytest.raises(Forbidden):
            await members.remove(session, world.admin, world.acme, olga)
        with pytest.raises(Forbidden):
            await members.set_role(session, world.developer, world.acme, adam, Role.VIEWER)


async def test_the_last_owner_stays(world: World) -> None:
    async with world.database.write_transaction() as session:
        olga = await users.by_name(session, "olga")
        adam = await users.by_name(session, "adam")
        with pytest.raises(PreconditionFailed):
            await members.remove(session, world.owner, world.acme, olga)
        with pytest.raises(PreconditionFailed):
            await members.set_role(session, world.owner, world.acme, olga, Role.ADMIN)
        await members.set_role(session, world.owner, world.acme, adam, Role.OWNER)
        await members.remove(session, world.owner, world.acme, olga)


async def test_a_member_may_leave(world: World) -> None:
    async with world.database.write_transaction() as session:
        vera = await users.by_name(session, "vera")
        await members.remove(session, world.viewer, world.acme, vera)


async def test_what_a_role_may_not_do_is_refused_and_changes_nothing(world: World) -> None:
    async with world.database.write_transaction() as session:
        with pytest.raises(Forbidden):
            await projects.delete(session, world.developer, world.storefront)
        with pytest.raises(Forbidden):
            await projects.create(session, world.viewer, world.acme, slug="mine")
        with pytest.raises(NotFound):
            await projects.create(session, world.stranger, world.acme, slug="mine")
    assert world.storefront.deleted_at is None


def test_every_lookup_takes_the_actor() -> None:
    for lookup in (*LOOKUPS, find.deployment):
        assert list(inspect.signature(lookup).parameters)[:2] == ["session", "actor"]
