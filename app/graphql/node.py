"""Objects with an id of their own, and how a database row becomes one.

A type says which row it shows with ``@shows(models.App)``. Its plain attributes are read from the row's
columns of the same name, or of another that ``app/graphql/fields.py:column`` names, so that a leaf costs an
attribute access and nothing else. Private attributes hold the foreign keys that fields follow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Self, TypeVar

import strawberry

from app import models
from app.graphql.sources import SOURCE

T = TypeVar("T", bound="FromRow")


class FromRow:
    """A GraphQL type that is made from a row."""

    @classmethod
    def of(cls, row: Any) -> Self:
        values = _read_of(cls)(row)
        return cls(**dict(zip(_names_of(cls), values, strict=True)))


@strawberry.interface(
    description="An object with a globally unique id, whose prefix names its kind: `app_…`."
)
class Node(FromRow):
    id: strawberry.ID


_TYPES: dict[type[models.Base], type[FromRow]] = {}


def shows(row: type[models.Base]) -> Callable[[type[T]], type[T]]:
    """Declare the decorated type to be how ``row`` is shown."""

    def register(cls: type[T]) -> type[T]:
        _TYPES[row] = cls
        return cls

    return register


def kind_of(row: type[models.Base]) -> type[FromRow]:
    """The type that shows such rows."""
    return _TYPES[row]


def reads_columns(kind: type) -> bool:
    """Whether its attributes are columns: of its row, or for a part of another type, of that one's."""
    return not issubclass(kind, FromRow) or kind.of.__func__ is FromRow.of.__func__  # type: ignore[attr-defined]


def shown(row: models.Base) -> Any:
    """The row as its GraphQL type."""
    return _TYPES[type(row)].of(row)


_names: dict[type, tuple[str, ...]] = {}
_reads: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


def _names_of(cls: type) -> tuple[str, ...]:
    names = _names.get(cls)
    if names is None:
        names = _names[cls] = tuple(field.name for field in _attributes(cls))
    return names


def _attributes(cls: type) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(cls) if field.init]


def _column(field: dataclasses.Field[Any]) -> str:
    source = field.metadata.get(SOURCE)
    return field.name if source is None else source.column


def _read_of(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    read = _reads.get(cls)
    if read is None:
        names = tuple(map(_column, _attributes(cls)))
        read = _reads[cls] = (
            attrgetter(*names) if len(names) > 1 else lambda row: (getattr(row, names[0]),)
        )
    return read
