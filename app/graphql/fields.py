"""How a type declares where its fields come from.

    app: App = one(models.App, id="app_id")
    environments: Connection[EnvironmentType] = page(ENVIRONMENTS, description="By slug.")

Each of these is a Strawberry field with a ``Source`` in its metadata, which the compiler reads, and a resolver
made from that source, which reads through the request's loaders. So both ways answer alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, TypeVar

import strawberry
from sqlalchemy import ColumnElement, Select, String, bindparam

from app import models
from app.errors import NotFound
from app.graphql.connection import EVERYWHERE, After, Before, First, Last, Listing
from app.graphql.context import Context, Info
from app.graphql.lookup import Column, Lookup, by_columns
from app.graphql.node import shown
from app.graphql.sources import (
    SOURCE,
    Attribute,
    Entry,
    Equals,
    Every,
    Keys,
    One,
    PageOf,
    Part,
    Spelled,
    Texts,
    hashable,
    source_of,
)

T = TypeVar("T")

_PAGE_ARGUMENTS: dict[str, Any] = {
    "first": (First, None),
    "after": (After, None),
    "last": (Last, None),
    "before": (Before, None),
}


def column(name: str, *, or_else: str | None = None, description: str | None = None) -> Any:
    """An attribute whose column has another name, or that is never null while its column may be."""
    source = Attribute(name, or_else)
    return strawberry.field(description=description, metadata={SOURCE: source})


def texts(name: str, *, description: str | None = None) -> Any:
    """A list of texts, from a JSON column that holds one."""
    return strawberry.field(description=description, metadata={SOURCE: Texts(name)})


def keys(name: str, *, description: str | None = None) -> Any:
    """The keys of a JSON column that holds an object, sorted."""

    def resolve(self: Any) -> Any:
        return sorted(getattr(self, name))

    return _declared(Keys(name), resolve, description)


def equals(name: str, value: Any, *, description: str | None = None) -> Any:
    """Whether a column has this value."""

    def resolve(self: Any) -> Any:
        return getattr(self, name) == value

    return _declared(Equals(name, value), resolve, description)


def part(
    kind: type, prefix: str = "", *, when: str | None = None, description: str | None = None
) -> Any:
    """An object made of the owner's own columns, each named ``prefix`` and the part's attribute."""

    def resolve(self: Any) -> Any:
        if when is not None and getattr(self, when) is None:
            return None
        return kind(**{name: attribute.read(self, prefix) for name, attribute in read})

    read = attributes_of(kind)
    return _declared(Part(kind, prefix, when), resolve, description)


def attributes_of(kind: type) -> list[tuple[str, Attribute]]:
    """A part's attributes by their Python names, each with where it comes from."""
    fields = kind.__dataclass_fields__.values()  # type: ignore[attr-defined]
    return [(field.name, field.metadata.get(SOURCE) or Attribute(field.name)) for field in fields]


def spelled(template: str, *, description: str | None = None) -> Any:
    """A text such as ``http://{hostname}{platform.port}``; see ``Spelled``."""
    pieces = pieces_of(template)

    async def resolve(self: Any, info: Info) -> Any:
        context = info.context
        return "".join(
            [text + (await _followed(context, self, path) if path else "") for text, path in pieces]
        )

    return _declared(Spelled(template), resolve, description)


def pieces_of(template: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each text with the path that follows it, which is empty at the end."""
    return [
        (text, tuple(path.split(".")) if path else ())
        for text, path, _, _ in Formatter().parse(template)
    ]


async def _followed(context: Context, owner: Any, path: tuple[str, ...]) -> str:
    if path[0] == "platform":
        return context.spelled[path[1]]
    for name in path[:-1]:
        source = source_of(type(owner), name)
        assert isinstance(source, One)
        owner = await _found(context, source, owner, {})
    return str(getattr(owner, path[-1]))


def one(row: type[models.Base], *, description: str | None = None, **on: str) -> Any:
    """The row whose columns have the values of ours: ``one(models.App, id="app_id")``."""
    return _one(One(by_columns(row, *on), tuple(on.values())), description, {})


def maybe(row: type[models.Base], *, description: str | None = None, **on: str) -> Any:
    """``one``, or null when one of the values is null, or nothing has them."""
    source = One(by_columns(row, *on), tuple(on.values()), optional=True)
    return _one(source, description, {})


def found(lookup: Lookup, *of_owner: str, description: str | None = None, **arguments: Any) -> Any:
    """What the lookup finds by columns of ours and the field's arguments, each a name and its type; or null."""
    source = One(lookup, of_owner, tuple(arguments), optional=True)
    return _one(source, description, _required(arguments))


def _one(source: One, description: str | None, arguments: Mapping[str, Any]) -> Any:
    async def resolve(self: Any, info: Info, **given: Any) -> Any:
        return await _found(info.context, source, self, given)

    return _declared(source, resolve, description, arguments)


async def _found(context: Context, source: One, owner: Any, given: Mapping[str, Any]) -> Any:
    values = [getattr(owner, name) for name in source.of_owner]
    values += [given[name] for name in source.arguments]
    row = await context.loaders.look_up(source.lookup, values, seen=True)
    if row is None and not source.optional:
        raise NotFound(f"{values[0]} was deleted meanwhile.")
    return None if row is None else shown(row)


def every(
    row: type[models.Base],
    column: Column,
    *,
    order: Any,
    owner: str = "id",
    description: str | None = None,
) -> Any:
    """All rows whose column holds ours; for lists that are short by nature."""

    async def resolve(self: Any, info: Info) -> Any:
        rows = await info.context.loaders.all_of(row, column, getattr(self, owner), order)
        return [shown(each) for each in rows]

    return _declared(Every(row, column, owner, order), resolve, description)


def page(
    listing: Listing,
    parent: str | None = "id",
    *,
    description: str | None = None,
    **filter: tuple[Any, Any],
) -> Any:
    """A connection. ``filter`` is at most one further argument: its name, type and default."""
    source = PageOf(listing, parent, next(iter(filter), None))

    async def resolve(self: Any, info: Info, **given: Any) -> Any:
        info.context.require_actor()
        under = EVERYWHERE if parent is None else getattr(self, parent)
        if under is None:
            return None
        wanted = hashable(given.pop(source.filter)) if source.filter else None
        return await info.context.connection(listing, under, **given, filter=wanted)

    return _declared(source, resolve, description, {**_PAGE_ARGUMENTS, **filter})


def entry(
    rows: Callable[..., Select[Any] | None], *, description: str | None = None, **arguments: Any
) -> Any:
    """A way into the graph: what the SELECT of ``rows`` finds, or null. See ``Entry``."""
    source = Entry(rows, tuple(arguments))

    async def resolve(self: Any, info: Info, **given: Any) -> Any:
        actor = info.context.require_actor()
        known = {name: _Known(value) for name, value in given.items()}
        statement = source.statement(actor, known)
        if statement is None:
            return None
        async with info.context.container.database.read_session() as session:
            row = (await session.scalars(statement)).one_or_none()
        return None if row is None else shown(row)

    return _declared(source, resolve, description, _required(arguments))


class _Known:
    """An ``Argument`` of this request alone."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def decide(self, read: Callable[[Any], T]) -> T:
        return read(self._value)

    def bind(self, read: Callable[[Any], str] = str) -> ColumnElement[str]:
        return bindparam(None, read(self._value), String)


def _required(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (kind, inspect.Parameter.empty) for name, kind in arguments.items()}


def _declared(
    source: Any,
    resolve: Callable[..., Any],
    description: str | None,
    arguments: Mapping[str, Any] | None = None,
) -> Any:
    """``arguments``: each by name, its type and its default. Strawberry reads them from the signature."""
    if arguments is not None:
        named = inspect.Parameter.POSITIONAL_OR_KEYWORD
        resolve.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("self", named),
                inspect.Parameter("info", named, annotation=Info),
                *(
                    inspect.Parameter(name, named, annotation=kind, default=default)
                    for name, (kind, default) in arguments.items()
                ),
            ]
        )
    return strawberry.field(resolver=resolve, description=description, metadata={SOURCE: source})
