"""The compiled way of answering, at the endpoint: from a request's body to the bytes of its answer."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec

from app.access.actor import Actor
from app.db import Database
from app.graphql.compile.plan import Plans


class _Body(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")


async def answer(plans: Plans, database: Database, actor: Actor, body: bytes) -> bytes | None:
    """None when Strawberry is to answer, be it to say what is wrong."""
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, RecursionError):
        return None
    statement = plans.statement(asked.query, asked.operation_name, asked.variables, actor)
    if statement is None:
        return None
    try:
        row = await database.fetch_row(statement.text, *statement.values)
    except asyncpg.InvalidTextRepresentationError:  # see text.impossible
        return None
    if row is None or row[0] is None:
        return None
    return b"".join((b'{"data":', row[0].encode(), statement.tail))
