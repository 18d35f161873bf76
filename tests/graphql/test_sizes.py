"""Every connection of the graph with one row and with fifty: as many statements."""

from __future__ import annotations

import re
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type

from app.crypto import SecretBox
from app.db import Database
from app.graphql.schema import core_schema
from tests.graphql.conftest import Api
from tests.graphql.test_statements import EVERYTHING, paths_of
from tests.graphql.wide import make_wide

SIZE = 50
_PAGE = re.compile(r"\b(?:first|last): \d+")
_NOT_ROWS = {("Instance", "logs")}
"""Read from files, not by statements."""


def connections() -> set[tuple[str, str]]:
    return {
        (kind.name, name)
        for kind in core_schema().type_map.values()
        if isinstance(kind, GraphQLObjectType) and kind.name != "Subscription"
        for name, field in kind.fields.items()
        if get_named_type(field.type).name.endswith("Connection")
    }


def with_pages(path: str, wide: int) -> str:
    """All its pages of one, but that one of fifty."""
    numbers = iter(range(path.count("(")))
    return _PAGE.sub(
        lambda found: f"{found.group().split(':')[0]}: {SIZE if next(numbers) == wide else 1}", path
    )


def lengths(answer: Any, kind: GraphQLObjectType, found: dict[tuple[str, str], int]) -> None:
    """The longest page of each connection in the answer."""
    if isinstance(answer, list):
        for each in answer:
            lengths(each, kind, found)
    elif isinstance(answer, dict):
        for name, value in answer.items():
            below = get_named_type(kind.fields[name].type)
            if isinstance(below, GraphQLObjectType):
                if below.name.endswith("Connection") and value:
                    count = len(value.get("nodes") or ())
                    found[kind.name, name] = max(count, found.get((kind.name, name), 0))
                lengths(value, below, found)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_connection_costs_as_many_statements_with_fifty_rows_as_with_one(
    by_loaders: Api, database: Database, secret_box: SecretBox
) -> None:
    lone = await make_wide(database, secret_box, name="lone", size=1)
    wide = await make_wide(database, secret_box, name="aa", size=SIZE)
    root = core_schema().query_type
    assert root is not None
    seen: dict[tuple[str, str], int] = {}
    await by_loaders.token_of(lone.actor)
    await by_loaders.token_of(wide.actor)
    for path in paths_of(EVERYTHING.replace("tokens {", "tokens(first: 1) {")):
        for place in range(len(_PAGE.findall(path)) or 1):
            asked = with_pages(path, place)
            with by_loaders.counting() as for_one:
                await by_loaders(asked, as_=lone.actor, project=lone.project)
            with by_loaders.counting() as for_fifty:
                answer = await by_loaders(asked, as_=wide.actor, project=wide.project)
            assert len(for_fifty) == len(for_one), f"{asked}\n" + "\n".join(for_fifty)
            lengths(answer, root, seen)
    short = {each for each in connections() - _NOT_ROWS if seen.get(each, 0) < SIZE}
    assert short == set(), "these were never seen with fifty rows"
