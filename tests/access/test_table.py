"""Everything that either API can do, tried by everybody, against the written table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.crypto import SecretBox
from app.db import Database
from app.graphql.schema import core_schema
from app.rest import ENDPOINTS
from tests.access import table
from tests.access.people import WHO, World, opened
from tests.access.walk import (
    field_letters,
    mutation_letters,
    query_letter,
    route_letter,
    subscription_letter,
)


@pytest.fixture
async def world(database: Database, secret_box: SecretBox, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(database, secret_box, str(tmp_path)) as world:
        yield world


def _differences(rows: list[tuple[str, str]], found: list[str]) -> list[str]:
    return [
        f"{wanted} is written, {letters} is so: {what}"
        for (what, wanted), letters in zip(rows, found, strict=True)
        if wanted != letters
    ]


async def test_every_mutation_as_everybody(world: World) -> None:
    mutations = [(name, arguments) for name, _, arguments in table.MUTATIONS]
    columns = [await mutation_letters(world, mutations, who) for who in WHO]
    rows = [(name + arguments, letters) for name, letters, arguments in table.MUTATIONS]
    assert _differences(rows, ["".join(row) for row in zip(*columns, strict=True)]) == []


async def test_every_route_as_everybody(world: World) -> None:
    found = [
        "".join([await route_letter(world, method, path, body, who) for who in WHO])
        for method, _, path, body in table.ROUTES
    ]
    rows = [(f"{method} {path} {body}", letters) for method, letters, path, body in table.ROUTES]
    assert _differences(rows, found) == []


async def test_every_query_as_everybody(world: World) -> None:
    found = [
        "".join([await query_letter(world, name, document, who) for who in WHO])
        for name, _, document in table.QUERIES
    ]
    rows = [(document, letters) for _, letters, document in table.QUERIES]
    assert _differences(rows, found) == []


async def test_every_subscription_as_everybody(world: World) -> None:
    actors = await world.all_actors()
    found = [
        "".join([await subscription_letter(world, field, actors.get(who)) for who in WHO])
        for _, _, field in table.SUBSCRIPTIONS
    ]
    rows = [(field, letters) for _, letters, field in table.SUBSCRIPTIONS]
    assert _differences(rows, found) == []


async def test_every_field_of_every_node_as_everybody(world: World) -> None:
    """A field whose answer is another for some who see its object is a right, and has a row."""
    found: dict[str, str] = defaultdict(str)
    for kind in table.NODES:
        columns = [await field_letters(world, kind, who) for who in WHO]
        for name in {name for column in columns for name in column}:
            found[name] = "".join(column.get(name, " ") for column in columns)
    kinds = {name: letters for name, letters in found.items() if name in table.NODES}
    assert kinds == table.NODES
    rights = {
        name: letters
        for name, letters in found.items()
        if "." in name and len(set(letters) - {" "}) > 1
    }
    assert rights == table.FIELDS


def test_everything_has_a_row() -> None:
    schema = core_schema()
    for root, rows in (
        (schema.query_type, table.QUERIES),
        (schema.mutation_type, table.MUTATIONS),
        (schema.subscription_type, table.SUBSCRIPTIONS),
    ):
        assert root is not None
        assert {name for name, *_ in rows} == set(root.fields)
    node = schema.get_type("Node")
    kinds = schema.get_possible_types(node)  # type: ignore[arg-type]
    assert {kind.name for kind in kinds} == set(table.NODES)


def test_every_route_has_a_row() -> None:
    written = defaultdict(set)
    for method, _, path, _ in table.ROUTES:
        written[method].add(tuple(path.strip("/").split("/")))
    for endpoint in ENDPOINTS:
        pattern = endpoint.path.strip("/").split("/")
        assert any(
            len(path) == len(pattern)
            and all(
                part == wanted or wanted.startswith("{")
                for part, wanted in zip(path, pattern, strict=True)
            )
            for path in written[endpoint.method]
        ), f"{endpoint.method} {endpoint.path}"
