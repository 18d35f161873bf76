"""A page of a listing under one parent, as a subquery, and what a connection says of it beside its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    case,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.graphql.compile.request import Uncovered
from app.graphql.compile.text import boolean, joined, quoted, string
from app.graphql.connection import Listing, cursor_kind

_NUMBER = "page_number"


@dataclass(frozen=True)
class Window:
    """What of a listing is asked for. ``after`` and ``before`` are keys."""

    listing: Listing
    parent: ColumnElement[Any]
    outer: FromClause | None
    """The row that ``parent`` is a column of."""
    limit: int
    backward: bool
    after: ColumnElement[Any] | None
    before: ColumnElement[Any] | None
    filter: Any
    narrowed: Sequence[ColumnElement[bool]]

    @property
    def _scanned_downwards(self) -> bool:
        return self.listing.descending != self.backward

    def _all(self, *selected: Any) -> Select[Any]:
        listing = self.listing
        statement = select(*selected).select_from(listing.row)
        for target, on in listing.join:
            statement = statement.join(target, on)
        conditions = [listing.parent == self.parent, *listing.where(self.filter), *self.narrowed]
        statement = statement.where(*conditions)
        return statement if self.outer is None else statement.correlate(self.outer)

    def rows(self, *, numbered: bool) -> Subquery:
        """The page; ``numbered`` in the scanned direction and with one more, which tells whether there is more."""
        key, listing = self.listing.key, self.listing
        order = key.desc() if self._scanned_downwards else key.asc()
        number = [func.row_number().over(order_by=order).label(_NUMBER)] if numbered else []
        statement = self._all(listing.row, *number)
        if self.after is not None:
            statement = statement.where(
                key < self.after if listing.descending else key > self.after
            )
        if self.before is not None:
            statement = statement.where(
                key > self.before if listing.descending else key < self.before
            )
        limit: ColumnElement[Any] = literal_column(str(self.limit + numbered))
        return statement.order_by(order).limit(limit).subquery()

    def count(self) -> ColumnElement[Any]:
        """In all pages."""
        return self._all(func.count()).scalar_subquery()

    def listed(self, rows: FromClause, shown: ColumnElement[str]) -> Any:
        """``shown`` of each row of the page, in the list's own order, with commas between."""
        key = rows.c[self.listing.key.key]
        order = key.desc() if self.listing.descending else key.asc()
        return self._inside(rows, func.string_agg(shown, aggregate_order_by(quoted(","), order)))

    def _inside(self, rows: FromClause, aggregate: Any) -> Any:
        """Without the one row more."""
        if _NUMBER not in rows.c:
            return aggregate
        return aggregate.filter(rows.c[_NUMBER] <= literal_column(str(self.limit)))

    def _more(self) -> ColumnElement[str]:
        return boolean(func.count() > literal_column(str(self.limit)))

    @staticmethod
    def _constant(bound: ColumnElement[Any] | None) -> ColumnElement[str]:
        return quoted("false" if bound is None else "true")

    def _end(self, rows: FromClause, most: Any) -> ColumnElement[str]:
        key: Any = self._inside(rows, most(rows.c[self.listing.key.key]))
        return case((key.is_(None), quoted("null")), else_=self._cursor(key))

    def cursor(self, rows: FromClause) -> ColumnElement[str]:
        return self._cursor(rows.c[self.listing.key.key])

    def _cursor(self, key: ColumnElement[Any]) -> ColumnElement[str]:
        """``app.graphql.connection.encode_cursor`` in SQL: base64 for URLs, of a small JSON list."""
        value = string(key) if self.listing.key.type.python_type is str else key
        packed = joined([f'["{cursor_kind(self.listing)}",', value, "]"])
        encoded = func.encode(func.convert_to(packed, quoted("UTF8")), quoted("base64"))
        plain = func.translate(encoded, literal_column(r"E'+/=\n'"), quoted("-_"))
        return joined(['"', plain, '"'])

    def knows(self, name: str) -> bool:
        """Whether a field of ``PageInfo`` needs no row: what was asked for tells it."""
        return name == ("hasNextPage" if self.backward else "hasPreviousPage")

    def named(self, name: str, rows: FromClause) -> ColumnElement[str]:
        """A field of ``PageInfo``."""
        match name:
            case "hasNextPage":
                return self._constant(self.before) if self.backward else self._more()
            case "hasPreviousPage":
                return self._more() if self.backward else self._constant(self.after)
            case "startCursor":
                return self._end(rows, func.max if self.listing.descending else func.min)
            case "endCursor":
                return self._end(rows, func.min if self.listing.descending else func.max)
        raise Uncovered(name)
