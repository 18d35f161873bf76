"""What a field that leads to at most one object finds it by."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app import models

Column = InstrumentedAttribute[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookup:
    """Make one per field, at module level: it is compared by identity."""

    row: type[models.Base]
    columns: tuple[Column, ...]
    """Of the row or of a joined table; their values are unique together."""
    join: Sequence[tuple[type[models.Base], ColumnElement[bool]]] = ()
    where: Sequence[ColumnElement[bool]] = ()

    def rows(self, *selected: Any) -> Select[Any]:
        """All that there are."""
        statement = select(*selected).select_from(self.row)
        for target, on in self.join:
            statement = statement.join(target, on)
        return statement.where(*self.where)

    def statement(self, values: Sequence[tuple[Hashable, ...]]) -> Select[Any]:
        """Rows of the row found, and the values of the columns that it was found by."""
        selected = self.rows(self.row, *self.columns)
        return selected.where(tuple_(*self.columns).in_(values))


@cache
def by_columns(row: type[models.Base], *names: str) -> Lookup:
    """The row by columns of its own."""
    return Lookup(row=row, columns=tuple(getattr(row, name) for name in names))
