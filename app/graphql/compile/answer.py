"""The compiled way of answering, at the endpoint: from a request's body to the bytes of its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec

from app.access.actor import Actor
from app.db import Database
from app.graphql.compile.plan import Plans
from app.graphql.cost import further_requests


class _Body(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")


async def answer(
    plans: Plans,
    database: Database,
    actor: Actor,
    body: bytes,
    charge: Callable[[int], None] | None = None,
) -> bytes | None:
    """None when Strawberry is to answer, be it to say what is wrong.

    ``charge`` is told as how many further requests it counts among the rate limits.
    """
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, RecursionError):
        return None
    statement = plans.statement(asked.query, asked.operation_name, asked.variables, actor)
    if statement is None:
        return None
    try:
        row = await database.selects.row(statement.text, *statement.values)
    except asyncpg.InvalidTextRepresentationError:  # see text.impossible
        return None
    if row is None or row[0] is None:
        return None
    if charge is not None:
        charge(further_requests(statement.cost))
    return b"".join((b'{"data":', row[0].encode(), statement.tail))
