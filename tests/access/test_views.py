"""What somebody sees who may not see all of an organization; and that values which are seen are told of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app.access.permissions import Permission
from app.crypto import SecretBox
from app.db import Database
from app.models import AuditEntry, Environment, Membership, Role, User
from app.tokens import service as tokens
from tests.access.people import World, opened

EVERYTHING = """{ organizations(first: 3) { nodes { slug
  members(first: 3) { nodes { user { name } } }
  projects(first: 3) { nodes { slug
    environments(first: 3) { nodes { slug
      instances(first: 3) { nodes { hostname } } deployments(first: 3) { nodes { id } } } }
    apps(first: 3) { nodes { slug
      instances(first: 3) { nodes { environment { slug } envVars { name value }
        deployments(first: 3) { nodes { number source { id } } } } } } } } } } } }"""
KEY = "/api/orgs/acme/projects/storefront/apps/web/envs/staging/env-vars/"


@pytest.fixture
async def world(database: Database, secret_box: SecretBox, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(database, secret_box, str(tmp_path)) as world:
        yield world


async def _seen(world: World, who: str) -> Any:
    answer = await world.graphql(EVERYTHING, who)
    assert "errors" not in answer, answer
    (organization,) = answer["data"]["organizations"]["nodes"]
    return organization


async def test_who_has_a_role_in_a_project_alone_sees_the_organizations_name_and_that_project(
    world: World,
) -> None:
    seen = await _seen(world, "member")
    assert (seen["slug"], seen["members"]["nodes"]) == ("acme", [])
    (project,) = seen["projects"]["nodes"]
    assert project["slug"] == "storefront"
    assert [each["slug"] for each in project["environments"]["nodes"]] == ["production", "staging"]


async def test_a_token_for_staging_sees_staging_and_names_above_it(world: World) -> None:
    seen = await _seen(world, "ci")
    (project,) = seen["projects"]["nodes"]
    (environment,) = project["environments"]["nodes"]
    assert (seen["members"]["nodes"], environment["slug"]) == ([], "staging")
    places = {
        instance["environment"]["slug"]
        for app in project["apps"]["nodes"]
        for instance in app["instances"]["nodes"]
    }
    assert places == {"staging"}
    text = json.dumps(seen)
    assert "production" not in text
    assert "hunter2" not in text


async def test_a_protected_environments_values_are_for_the_roles_it_is_kept_for(
    world: World,
) -> None:
    path = KEY.replace("staging", "production") + "KEY"
    for who in ("viewer", "developer", "member"):
        assert (await world.request("GET", path, None, who)).json()["value"] is None
    for who in ("admin", "owner", "operator"):
        assert (await world.request("GET", path, None, who)).json()["value"] == "hunter2"


async def _entries(database: Database, action: str) -> list[AuditEntry]:
    async with database.read_session() as session:
        statement = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        return list(await session.scalars(statement))


async def test_reading_a_value_is_told_and_reading_names_is_not(
    world: World, database: Database
) -> None:
    names = '{ node(id: "$Instance") { ... on Instance { envVars { name digest } } } }'
    values = '{ node(id: "$Instance") { ... on Instance { envVars { name value } } } }'
    await world.graphql(names, "developer")
    await world.graphql(values, "viewer")
    await world.request("GET", KEY, None, "viewer")
    assert await _entries(database, "env-vars.read") == []
    await world.graphql(values, "developer")
    await world.request("GET", KEY, None, "admin")
    await world.request("GET", KEY + "KEY", None, "owner")
    entries = await _entries(database, "env-vars.read")
    assert [entry.user_name for entry in entries] == ["developer", "admin", "owner"]
    for entry in entries:
        assert entry.summary == "Read the values of KEY."
        assert entry.path == "acme/storefront/web/staging"
        assert entry.request_id
        assert entry.token_id
        assert "hunter2" not in repr(vars(entry))


async def test_the_log_is_filtered_and_turned_by_pages(world: World) -> None:
    ask = '{ organization(slug: "acme") { auditLog(first: 100, filter: $F) { nodes { action path } pageInfo { hasNextPage } } } }'

    async def logged(wanted: str) -> list[dict[str, str]]:
        answer = await world.graphql(ask.replace("$F", wanted), "admin")
        nodes: list[dict[str, str]] = answer["data"]["organization"]["auditLog"]["nodes"]
        return nodes

    assert {each["action"] for each in await logged("{actions: [ENVIRONMENT_PROTECT]}")} == {
        "environment.protect"
    }
    below = await logged('{path: "acme/storefront"}')
    assert below
    assert all(each["path"].startswith("acme/storefront") for each in below)
    assert await logged('{user: "nobody"}') == []
    assert await logged('{since: "2999-01-01T00:00:00Z"}') == []
    path = "/api/orgs/acme/audit-log/"
    first = (await world.request("GET", path + "?limit=2", None, "owner")).json()["entries"]
    rest = await world.request("GET", f"{path}?before={first[1]['id']}&limit=100", None, "owner")
    every = (await world.request("GET", path, None, "owner")).json()["entries"]
    assert first + rest.json()["entries"] == every


async def test_a_token_may_no_more_than_its_user_may_now(world: World, database: Database) -> None:
    deploy = 'mutation { deploymentCreate(input: {instanceId: "$Instance", ref: "main"}) { userErrors { code } } }'

    async def refusals(who: str) -> list[dict[str, str]]:
        answer = await world.graphql(deploy, who)
        errors: list[dict[str, str]] = answer["data"]["deploymentCreate"]["userErrors"]
        return errors

    assert await refusals("ci") == []
    async with database.write_transaction() as session:
        developer = select(User.id).where(User.name == "developer").scalar_subquery()
        own = Membership.user_id == developer
        await session.execute(update(Membership).where(own).values(role=Role.VIEWER))
    assert await refusals("ci") == [{"code": "FORBIDDEN"}]


async def test_a_token_goes_with_the_place_that_it_is_for(world: World, database: Database) -> None:
    async with database.write_transaction() as session:
        await session.delete(await session.get_one(Environment, world.ids["Environment"]))
    assert (await world.request("GET", "/api/orgs/", None, "ci")).status_code == 401


async def test_an_operators_token_for_a_part_operates_nothing(
    world: World, database: Database
) -> None:
    async with database.write_transaction() as session:
        user = (await session.scalars(select(User).where(User.name == "operator"))).one()
        _, secret = await tokens.create(session, user, "reader", permissions=[Permission.READ])
    world.secrets["reader"] = secret
    assert (await world.request("GET", "/api/orgs/acme", None, "reader")).status_code == 200
    assert (await world.request("DELETE", "/api/orgs/acme", None, "reader")).status_code == 403
    answer = await world.graphql("{ reconcilers { name } }", "reader")
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_what_a_token_is_for_can_be_read(world: World) -> None:
    answer = await world.graphql(
        "{ viewer { token { permissions reach } tokens { totalCount } } }", "ci"
    )
    assert answer["data"]["viewer"] == {
        "token": {
            "permissions": ["CODE_PUSH", "DEPLOY", "READ"],
            "reach": "acme/storefront/*/staging",
        },
        "tokens": {"totalCount": 1},
    }
