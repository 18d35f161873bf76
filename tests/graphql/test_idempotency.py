"""A creating mutation that is sent again with its key is done once."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select, update

from app.db import Database
from app.graphql.schema import core_schema
from app.models import ApiToken, IdempotencyKey, Project
from tests.graphql.conftest import Api
from tests.services.conftest import World

CREATE = """mutation ($org: ID!, $slug: String!, $key: String) {
  projectCreate(input: {organizationId: $org, slug: $slug}, idempotencyKey: $key) {
    project { id slug } userErrors { code field }
  }
}"""


async def count(database: Database, slug: str) -> int:
    async with database.read_session() as session:
        statement = select(func.count()).select_from(Project).where(Project.slug == slug)
        return (await session.execute(statement)).scalar_one()


async def test_ten_at_once_are_one_project(api: Api, world: World, database: Database) -> None:
    values = {"org": world.acme.id, "slug": "once", "key": "k"}
    await api("{ viewer { __typename } }", as_=world.owner)  # one token for all of them
    answers = await asyncio.gather(*(api(CREATE, as_=world.owner, **values) for _ in range(10)))
    assert await count(database, "once") == 1
    assert {answer["projectCreate"]["project"]["slug"] for answer in answers} == {"once"}
    assert len({answer["projectCreate"]["project"]["id"] for answer in answers}) == 1


async def test_a_key_is_for_one_request_of_one_caller(
    api: Api, world: World, database: Database
) -> None:
    org = world.acme.id
    await api(CREATE, as_=world.owner, org=org, slug="mine", key="k")
    other = await api(CREATE, as_=world.owner, org=org, slug="other", key="k")
    assert other["projectCreate"]["userErrors"] == [
        {"code": "CONFLICT", "field": ["idempotencyKey"]}
    ]
    assert await count(database, "other") == 0
    taken = await api(CREATE, as_=world.admin, org=org, slug="mine", key="k")
    assert taken["projectCreate"]["userErrors"][0]["code"] == "TAKEN"


async def test_a_failure_keeps_no_key_and_an_old_key_is_forgotten(
    api: Api, world: World, database: Database
) -> None:
    org = world.acme.id
    failed = await api(CREATE, as_=world.owner, org=org, slug="-bad", key="k")
    assert failed["projectCreate"]["userErrors"]
    good = await api(CREATE, as_=world.owner, org=org, slug="good", key="k")
    assert good["projectCreate"]["project"]["slug"] == "good"
    async with database.write_transaction() as session:
        yesterday = func.clock_timestamp() - func.make_interval(0, 0, 0, 1, 1)
        await session.execute(update(IdempotencyKey).values(created_at=yesterday))
    again = await api(CREATE, as_=world.owner, org=org, slug="good", key="k")
    assert again["projectCreate"]["userErrors"][0]["code"] == "TAKEN"


async def test_a_secret_is_still_shown_once(api: Api, world: World, database: Database) -> None:
    document = """mutation ($key: String) {
      tokenCreate(input: {name: "ci"}, idempotencyKey: $key) { token { id } secret userErrors { code } }
    }"""
    first = (await api(document, as_=world.owner, key="k"))["tokenCreate"]
    second = (await api(document, as_=world.owner, key="k"))["tokenCreate"]
    assert first["secret"]
    assert second["secret"] is None
    assert first["token"] == second["token"]
    async with database.read_session() as session:
        kept = (await session.scalars(select(IdempotencyKey.answer))).all()
        tokens = (await session.scalars(select(ApiToken).where(ApiToken.name == "ci"))).all()
    assert len(tokens) == 1
    assert first["secret"] not in str(kept)


async def test_an_empty_or_endless_key_is_refused(api: Api, world: World) -> None:
    for key in ("", "x" * 256):
        answer = await api(CREATE, as_=world.owner, org=world.acme.id, slug="p", key=key)
        assert answer["projectCreate"]["userErrors"][0]["code"] == "INVALID"


def test_every_mutation_that_creates_takes_a_key() -> None:
    mutations = core_schema().mutation_type
    assert mutations is not None
    creating = ("Create", "Deploy", "Rollback", "Promote", "Invite", "Add")
    without = {
        name
        for name, field in mutations.fields.items()
        if name.endswith(creating) and "idempotencyKey" not in field.args
    }
    assert without == set()
