"""Cursor pages, forward and backward, over anything that has a key unique within its parent.

A ``Listing`` declares once what a connection lists. Its cursor is that key, so a page is a range scan of
an index however far in it is, and rows that come or go between two pages are neither skipped nor
repeated. The pages of many parents are one statement: the parents joined laterally with their own page.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import strawberry
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    String,
    Subquery,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app import models
from app.errors import InvalidInput, LimitReached

DEFAULT_PAGE = 20
MAXIMUM_PAGE = 100

EVERYWHERE = ""
"""The parent of what stands at the top."""

First = int | None
After = str | None
Last = int | None
Before = str | None

T = TypeVar("T")


def _no_filter(_: Any) -> Sequence[ColumnElement[bool]]:
    return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Listing:
    """What a connection lists. Make one per connection field, at module level: it is compared by identity."""

    row: type[models.Base]
    parent: ColumnElement[str] | InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
    """Holds the parent's id; may be a joined table's."""
    key: InstrumentedAttribute[str] | InstrumentedAttribute[int]
    """Orders the list, and is unique within the parent."""
    descending: bool = False
    join: Sequence[tuple[type[models.Base], ColumnElement[bool]]] = ()
    where: Callable[[Any], Sequence[ColumnElement[bool]]] = _no_filter
    """From the field's own filter argument, which must be hashable."""
    maximum: int = MAXIMUM_PAGE

    def narrowed(self, conditions: Sequence[ColumnElement[bool]]) -> Listing:
        """Of these only: what the viewer may know of."""
        if not conditions:
            return self
        return replace(self, where=lambda filter: [*self.where(filter), *conditions])


@dataclass(frozen=True)
class Page:
    """A validated request for a page. ``after`` and ``before`` are key values."""

    limit: int
    backward: bool = False
    after: str | int | None = None
    before: str | int | None = None


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    list: str
    key: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 2)] | str


def page_of(
    listing: Listing,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Page:
    """Raises InvalidInput for a negative size, both sizes, or a cursor of another list; LimitReached."""
    if first is not None and last is not None:
        raise InvalidInput("Give `first` or `last`, not both.", field="last")
    name, size = ("last", last) if last is not None else ("first", first)
    if size is not None and size < 0:
        raise InvalidInput(f"`{name}` must not be negative.", field=name)
    if size is not None and size > listing.maximum:
        raise LimitReached(
            f"`{name}` may be at most {listing.maximum}.",
            field=name,
            hint="Ask for the next page with `after: pageInfo.endCursor`.",
        )
    return Page(
        limit=DEFAULT_PAGE if size is None else size,
        backward=last is not None,
        after=None if after is None else decode_cursor(listing, after, "after"),
        before=None if before is None else decode_cursor(listing, before, "before"),
    )


def encode_cursor(listing: Listing, row: Any) -> str:
    value = getattr(row, listing.key.key)
    packed = msgspec.json.encode(_Cursor(cursor_kind(listing), value))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(listing: Listing, cursor: str, field: str) -> str | int:
    kind: type[str | int] = listing.key.type.python_type
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        decoded = msgspec.json.decode(packed, type=_Cursor)
        if decoded.list != cursor_kind(listing) or "\0" in str(decoded.key):
            raise ValueError(cursor)
        if not isinstance(decoded.key, kind):
            raise TypeError(cursor)
        small = not isinstance(listing.key.type, BigInteger)
        if small and isinstance(decoded.key, int) and decoded.key >= 2**31:
            raise ValueError(cursor)
        return decoded.key
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"`{field}` is not a cursor of this list.",
            field=field,
            hint="Pass a `cursor`, `startCursor` or `endCursor` of the same field, unchanged.",
        ) from error


def cursor_kind(listing: Listing) -> str:
    return f"{listing.row.__tablename__}.{listing.key.key}"


def page_statement(
    listing: Listing, parents: Sequence[str], filter_value: Any, page: Page
) -> Select[Any]:
    """Rows of ``(parent id, listed row)``: for each parent up to ``limit + 1``, in the scanned direction."""
    wanted = _wanted(parents)
    key = listing.key
    reverse = listing.descending != page.backward
    inner = select(listing.row).where(listing.parent == wanted.c.id, *listing.where(filter_value))
    for target, on in listing.join:
        inner = inner.join(target, on)
    if page.after is not None:
        inner = inner.where(key < page.after if listing.descending else key > page.after)
    if page.before is not None:
        inner = inner.where(key > page.before if listing.descending else key < page.before)
    order = key.desc() if reverse else key.asc()
    found = inner.order_by(order).limit(page.limit + 1).lateral("page")
    listed = aliased(listing.row, found)
    listed_key = getattr(listed, key.key)
    return (
        select(wanted.c.id, listed)
        .join(found, true())
        .order_by(wanted.c.id, listed_key.desc() if reverse else listed_key.asc())
    )


def count_statement(listing: Listing, parents: Sequence[str], filter_value: Any) -> Select[Any]:
    """Rows of ``(parent id, number listed)``, one for each parent."""
    wanted = _wanted(parents)
    counted = select(func.count()).select_from(listing.row)
    for target, on in listing.join:
        counted = counted.join(target, on)
    counted = counted.where(listing.parent == wanted.c.id, *listing.where(filter_value))
    return select(wanted.c.id, counted.correlate(wanted).scalar_subquery())


def _wanted(parents: Sequence[str]) -> Subquery:
    return select(func.unnest(literal(list(parents), ARRAY(String))).label("id")).subquery("wanted")


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type(
    description="One page of a list: `first` (20 when no size is given) `after` a cursor, or `last`"
    " `before` one."
)
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo
    count: strawberry.Private[Any]

    @strawberry.field(description="The edges' nodes, for when no cursor of their own is needed.")
    def nodes(self) -> list[T]:
        return [edge.node for edge in self.edges]

    @strawberry.field(description="How many there are in all pages.")
    async def total_count(self) -> int:
        counted: int = await self.count()
        return counted


@dataclass(frozen=True)
class Slice:
    """A page's rows in the list's own order, and whether there is more on either side."""

    rows: Sequence[Any]
    more_before: bool
    more_after: bool


def slice_of(found: Sequence[Any], page: Page) -> Slice:
    """From up to ``limit + 1`` rows in the scanned direction."""
    rows, more = list(found[: page.limit]), len(found) > page.limit
    if page.backward:
        return Slice(rows[::-1], more_before=more, more_after=page.before is not None)
    return Slice(rows, more_before=page.after is not None, more_after=more)


def page_info(cursors: Sequence[str], found: Slice) -> PageInfo:
    return PageInfo(
        has_next_page=found.more_after,
        has_previous_page=found.more_before,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
