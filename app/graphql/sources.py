"""Where a field's value comes from, declared once for both ways in which a query is answered.

``app/graphql/fields.py`` makes the resolvers of the one way from these, ``app/graphql/compile`` the SQL of the
other. A field without a source has Python code of its own, and only the first way answers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select

from app import models
from app.access.actor import Actor
from app.graphql.connection import Listing
from app.graphql.lookup import Column, Lookup

SOURCE = "source"
"""The key of a field's metadata that holds its source."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Attribute:
    """A column of the owner's row."""

    column: str
    or_else: str | None = None
    """Instead of null."""

    def read(self, owner: Any, prefix: str = "") -> Any:
        value = getattr(owner, prefix + self.column)
        return self.or_else if value is None else value


@dataclass(frozen=True, eq=False)
class Texts(Attribute):
    """A JSON column that holds a list, as texts."""

    def read(self, owner: Any, prefix: str = "") -> Any:
        return [str(each) for each in getattr(owner, prefix + self.column)]


@dataclass(frozen=True, eq=False)
class Keys:
    """The keys of a JSON column that holds an object, sorted by code point."""

    column: str


@dataclass(frozen=True, eq=False)
class Equals:
    """Whether a column has this value."""

    column: str
    value: Any


@dataclass(frozen=True, eq=False)
class Spelled:
    """A text with the owner's columns, those of what it leads to, and settings of the platform put in:
    ``http://{hostname}{platform.port}``, ``{project.organization.slug}``."""

    template: str


@dataclass(frozen=True, eq=False)
class Part:
    """An object made of the owner's own columns, each named ``prefix`` and the part's attribute."""

    kind: type
    prefix: str = ""
    when: str | None = None
    """There is one only when this column is not null."""


@dataclass(frozen=True, eq=False)
class One:
    """The row that the lookup finds by the owner's columns ``of_owner`` and then the field's arguments."""

    lookup: Lookup
    of_owner: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Every:
    """All rows whose column holds the owner's; for lists that are short by nature."""

    row: type[models.Base]
    column: Column
    owner: str
    order: ColumnElement[Any]


@dataclass(frozen=True, eq=False)
class PageOf:
    """A connection: the page of a listing under the owner."""

    listing: Listing
    parent: str | None = "id"
    """The owner's column that names the parent; None stands at the top. No parent, no connection."""
    filter: str | None = None
    """The argument that the listing's ``where`` is given."""


class Argument(Protocol):
    """An argument of an entry: its value in this request, or in all those that a plan is made for."""

    def decide(self, read: Callable[[Any], T]) -> T:
        """What the statement's shape depends on."""
        ...

    def bind(self, read: Callable[[Any], str] = ...) -> ColumnElement[str]:
        """What the statement is given as a parameter; ``read`` is called when ``decide`` was as before."""
        ...


@dataclass(frozen=True, eq=False)
class Entry:
    """A way into the graph: the SELECT of what the actor finds there, or None when that can be nothing."""

    rows: Callable[..., Select[Any] | None]
    """Called with the actor, and each argument by name as an ``Argument``."""
    arguments: tuple[str, ...] = ()

    def statement(self, actor: Actor, arguments: Mapping[str, Argument]) -> Select[Any] | None:
        return self.rows(actor, **arguments)


Source = Attribute | Keys | Equals | Spelled | Part | One | Every | PageOf | Entry


def hashable(filter: Any) -> Any:
    """A filter argument as a listing's ``where`` is given it."""
    return (
        frozenset(filter)
        if isinstance(filter, Sequence) and not isinstance(filter, str)
        else filter
    )


def source_of(kind: type[Any], name: str) -> Any:
    """Of the attribute of a GraphQL type that says where it comes from."""
    declared: Any = kind
    return declared.__dataclass_fields__[name].metadata[SOURCE]
