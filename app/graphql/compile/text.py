"""JSON as text, made of SQL expressions, without a space that need not be.

Postgres writes an object fastest as a concatenation: its own ``json_build_object`` looks up each value's type for
each row, and puts spaces in. Each value is text of JSON already, so that only strings need a function.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any

from graphql import GraphQLEnumType, GraphQLNonNull, GraphQLOutputType, get_named_type
from sqlalchemy import (
    ColumnElement,
    Enum,
    Integer,
    String,
    Text,
    case,
    cast,
    func,
    literal_column,
)
from sqlalchemy.sql.functions import FunctionElement

from app.graphql.compile.request import Uncovered

Piece = str | ColumnElement[Any]
"""A text of ours, or an expression whose value is one."""

_MOST_ARGUMENTS = 90
"""Of one function; Postgres takes 100."""

_TIME = r'\"YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"\"'
"""In quotes; as ``app/graphql/scalars.py`` writes it."""


def quoted(text: str) -> ColumnElement[str]:
    """A constant of SQL. For our own words and GraphQL's names, which hold no colon to be taken for a parameter."""
    escaped = text.replace("'", "''")
    return literal_column(f"'{escaped}'", Text)


def joined(pieces: Iterable[Piece]) -> ColumnElement[str]:
    """One after another. A null among them would leave a gap: nullable values are made ``null`` before."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    arguments = [quoted(piece) if isinstance(piece, str) else piece for piece in merged]
    while len(arguments) > _MOST_ARGUMENTS:
        starts = range(0, len(arguments), _MOST_ARGUMENTS)
        arguments = [func.concat(*arguments[start : start + _MOST_ARGUMENTS]) for start in starts]
    return arguments[0] if len(arguments) == 1 else func.concat(*arguments)


def object_of(fields: Sequence[tuple[str, Sequence[Piece]]]) -> list[Piece]:
    """The names are GraphQL's: they need no escaping."""
    pieces: list[Piece] = []
    for name, value in fields:
        pieces += [f'{"," if pieces else "{"}"{name}":', *value]
    return [*pieces, "}"] if pieces else ["{}"]


def string(value: ColumnElement[Any]) -> ColumnElement[str]:
    return cast(func.to_json(value), Text)


def boolean(value: ColumnElement[bool]) -> ColumnElement[str]:
    return case((value, quoted("true")), else_=quoted("false"))


def or_null(value: ColumnElement[str]) -> ColumnElement[str]:
    return func.coalesce(value, quoted("null"))


def impossible(witness: ColumnElement[Any]) -> ColumnElement[str]:
    """Fails when it is evaluated, and only then: it depends on a row. Strawberry has words for what went wrong."""
    return cast(cast(func.concat(quoted("not a number "), witness), Integer), Text)


def leaf(
    value: ColumnElement[Any], kind: GraphQLOutputType, *, nullable: bool
) -> ColumnElement[str]:
    """A column as a field of this type. ``nullable``: the column may be null, whatever the field's type says."""
    text = _leaf(value, kind)
    if not nullable:
        return text
    return func.coalesce(
        text, impossible(value) if isinstance(kind, GraphQLNonNull) else quoted("null")
    )


def _leaf(value: ColumnElement[Any], kind: GraphQLOutputType) -> ColumnElement[str]:
    named = get_named_type(kind)
    if isinstance(named, GraphQLEnumType):
        return _member(value, named)
    match named.name:
        case "String" | "ID":
            return string(value)
        case "Int" | "Long" | "Boolean":
            return cast(value, Text)
        case "DateTime":
            return func.to_char(func.timezone(quoted("UTC"), value), quoted(_TIME))
    raise Uncovered(named.name)


def _member(value: ColumnElement[Any], kind: GraphQLEnumType) -> ColumnElement[str]:
    """An enum is stored by value and shown by name. A member that this version does not know fails."""
    stored = value.type
    if not isinstance(stored, Enum):
        raise Uncovered(f"{kind.name} of {stored}")
    plain = cast(value, String)
    names = {_stored(member.value): name for name, member in kind.values.items()}
    return case(
        *((plain == quoted(each), quoted(f'"{name}"')) for each, name in names.items()),
        (value.is_(None), literal_column("NULL")),
        else_=impossible(plain),
    )


def _stored(value: Any) -> str:
    return str(value.value if isinstance(value, enum.Enum) else value)


def list_of(
    elements: FunctionElement[str] | ColumnElement[str],
) -> list[Piece]:
    """``string_agg`` of the elements, which is null when there are none."""
    return ["[", func.coalesce(elements, quoted("")), "]"]
