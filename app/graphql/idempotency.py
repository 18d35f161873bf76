"""A mutation sent twice with one key is done once, and both are answered alike.

The key is a row of the mutation's own transaction. Of two at once the second waits for the first to commit,
at the row's primary key, and then reads its answer; after a failure there is no row, so that the caller may
try again. The answer is kept as ids and shown anew: what was deleted since is null, and a secret that is
shown once stays so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import strawberry
from graphql import print_ast
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.access.actor import Actor
from app.db import WriteSession
from app.errors import Conflict, InvalidInput
from app.graphql.context import Info
from app.graphql.node import Node, shown
from app.graphql.visible import by_ids
from app.models import IdempotencyKey

KEPT = timedelta(hours=24)
MAX_LENGTH = 255

Key = Annotated[
    str | None,
    strawberry.argument(
        name="idempotencyKey",
        description="Your name for this request, such as a UUID: sent again within 24 hours it is"
        " answered as the first time, and not done again.",
    ),
]

P = TypeVar("P")


async def once(
    info: Info,
    session: WriteSession,
    actor: Actor,
    key: str,
    payload: type[P],
    work: Callable[[WriteSession, Actor], Awaitable[P]],
) -> P:
    """``work``'s payload, or the one that ``key`` had before.

    Raises InvalidInput for a key that is empty or too long, Conflict for one that was used for another request.
    """
    if not 0 < len(key) <= MAX_LENGTH:
        raise InvalidInput(
            f"`idempotencyKey` has 1 to {MAX_LENGTH} characters.",
            field="idempotencyKey",
            hint="A UUID does.",
        )
    mine = {"actor_id": _caller(actor), "key": key}
    digest = _digest(info)
    if not await _claim(session, mine, digest):
        return await _answered(session, actor, mine, digest, payload)
    done = await work(session, actor)
    await session.execute(update(IdempotencyKey).filter_by(**mine).values(answer=_kept(done)))
    return done


def _caller(actor: Actor) -> str:
    return actor.token_id or actor.user_id or actor.name


async def _claim(session: WriteSession, mine: dict[str, str], digest: bytes) -> bool:
    """False when the key is taken. Waits for a transaction that is just taking it."""
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.actor_id == mine["actor_id"],
            IdempotencyKey.created_at < func.clock_timestamp() - KEPT,
        )
    )
    statement = (
        insert(IdempotencyKey)
        .values(**mine, request_digest=digest, answer={})
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return (await session.execute(statement)).first() is not None


async def _answered(
    session: WriteSession, actor: Actor, mine: dict[str, str], digest: bytes, payload: type[P]
) -> P:
    row = (await session.scalars(select(IdempotencyKey).filter_by(**mine))).one()
    if row.request_digest != digest:
        raise Conflict(
            "This idempotency key was used for another request.",
            field="idempotencyKey",
            hint="Take a new key for a new request; a repeated request has the same arguments.",
        )
    values = {name: await _shown(session, actor, kept) for name, kept in row.answer.items()}
    return payload(**values)


def _digest(info: Info) -> bytes:
    raw = info._raw_info
    arguments = sorted(print_ast(argument) for argument in raw.field_nodes[0].arguments or ())
    asked = [raw.field_name, arguments, info.variable_values]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).digest()


def _kept(payload: Any) -> dict[str, Any]:
    """What to remember of it, by field: ``{"id": …}``, ``{"ids": […]}`` or ``{"plain": …}``."""
    kept: dict[str, Any] = {}
    for field in dataclasses.fields(payload):
        value = getattr(payload, field.name)
        if isinstance(value, Node):
            kept[field.name] = {"id": value.id}
        elif isinstance(value, list) and all(isinstance(each, Node) for each in value):
            kept[field.name] = {"ids": [each.id for each in value]}
        elif field.name not in payload.shown_once:
            kept[field.name] = {"plain": value}
    return kept


async def _shown(session: WriteSession, actor: Actor, kept: dict[str, Any]) -> Any:
    if "plain" in kept:
        return kept["plain"]
    ids = kept["ids"] if "ids" in kept else [kept["id"]]
    found = [shown(row) for row in await by_ids(session, actor, ids) if row is not None]
    return found if "ids" in kept else (found[0] if found else None)
