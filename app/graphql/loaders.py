"""Every read that more than one object of a request may need, batched: the end of N+1.

One instance a request (and a fresh one after each mutation, so that nothing read before it is shown
after it). Each batch opens a read session of its own: sibling resolvers never share one, and none is held
while a resolver waits for anything else. Resolvers do share what they wait for: it is shielded, since the
executor cancels the siblings of one that failed, and would cancel others with them.
"""

from __future__ import annotations

from asyncio import shield
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from app import models
from app.access.actor import Actor
from app.access.visible import narrowing
from app.db import Database
from app.errors import LimitReached, NotFound
from app.graphql.connection import Listing, Page, Slice, count_statement, page_statement, slice_of
from app.graphql.lookup import Column, Lookup, by_columns

MAXIMUM_ROWS = 20_000
"""What one connection field may come to in one request, all parents together."""

R = TypeVar("R", bound=models.Base)


class _One(NamedTuple):
    lookup: Lookup
    values: tuple[Hashable, ...]
    seen: bool


class _Many(NamedTuple):
    column: Column
    value: str
    order: ColumnElement[Any]


class _PageOf(NamedTuple):
    listing: Listing
    parent: str
    filter: Hashable
    page: Page


class _CountOf(NamedTuple):
    listing: Listing
    parent: str
    filter: Hashable


Reader = Callable[[AsyncSession, Sequence[str], Any], Awaitable[Mapping[str, Any]]]
"""What is to be known of each of several ids, in as many statements as of one; and what is asked about them."""


class _Read(NamedTuple):
    reader: Reader
    value: str
    about: Hashable


class Loaders:
    def __init__(self, database: Database, actor: Actor | None) -> None:
        self._database = database
        self._actor = actor
        self._one = DataLoader(load_fn=self._load_one)
        self._many = DataLoader(load_fn=self._load_many)
        self._page = DataLoader(load_fn=self._load_pages)
        self._count = DataLoader(load_fn=self._load_counts)
        self._reads = DataLoader(load_fn=self._load_reads)

    async def find(self, row: type[R], *, seen: bool = False, **values: Hashable) -> R | None:
        """The row whose columns have these values, which must be unique together.

        ``seen``: it is to be shown, and so is not there for an actor who may not know of it.
        """
        found = await self.look_up(by_columns(row, *values), tuple(values.values()), seen=seen)
        return cast("R | None", found)

    async def look_up(
        self, lookup: Lookup, values: Sequence[Hashable], *, seen: bool
    ) -> models.Base | None:
        """What the lookup finds by these values of its columns."""
        if None in values:
            return None
        return await shield(self._one.load(_One(lookup, tuple(values), seen)))

    async def by_id(self, row: type[R], identifier: str, *, seen: bool = False) -> R:
        """Raises NotFound: it was deleted while this request was being answered."""
        found = await self.find(row, seen=seen, id=identifier)
        if found is None:
            raise NotFound(f"{identifier} was deleted meanwhile.")
        return found

    async def all_of(self, row: type[R], column: Column, value: str, order: Any) -> Sequence[R]:
        """Every row whose ``column`` is ``value``; for lists that are short by nature."""
        del row  # names the result's type
        found = await shield(self._many.load(_Many(column, value, order)))
        return cast("Sequence[R]", found)

    async def page(self, listing: Listing, parent: str, filter: Hashable, page: Page) -> Slice:
        return await shield(self._page.load(_PageOf(listing, parent, filter, page)))

    async def count(self, listing: Listing, parent: str, filter: Hashable) -> int:
        return await shield(self._count.load(_CountOf(listing, parent, filter)))

    async def read(self, reader: Reader, value: str, about: Hashable = None) -> Any:
        """What ``reader`` finds of ``value``; None when that is nothing."""
        return await shield(self._reads.load(_Read(reader, value, about)))

    async def _load_reads(self, keys: list[_Read]) -> list[Any]:
        groups: dict[tuple[Reader, Hashable], list[str]] = defaultdict(list)
        for key in keys:
            groups[key.reader, key.about].append(key.value)
        found: dict[_Read, Any] = {}
        async with self._database.read_session() as session:
            for (reader, about), values in groups.items():
                for value, answer in (await reader(session, values, about)).items():
                    found[_Read(reader, value, about)] = answer
        return [found.get(key) for key in keys]

    async def _load_one(self, keys: list[_One]) -> list[models.Base | None]:
        groups: dict[tuple[Lookup, bool], list[_One]] = defaultdict(list)
        for key in keys:
            groups[key.lookup, key.seen].append(key)
        found: dict[_One, models.Base] = {}
        async with self._database.read_session() as session:
            for (lookup, seen), group in groups.items():
                narrowed = self._narrowing(lookup.row) if seen else ()
                statement = lookup.statement([key.values for key in group]).where(*narrowed)
                for row, *values in await session.execute(statement):
                    found[_One(lookup, tuple(values), seen)] = row
        return [found.get(key) for key in keys]

    async def _load_many(self, keys: list[_Many]) -> list[Sequence[models.Base]]:
        groups: dict[tuple[Column, ColumnElement[Any]], list[_Many]] = defaultdict(list)
        for key in keys:
            groups[key.column, key.order].append(key)
        found: dict[_Many, list[models.Base]] = defaultdict(list)
        async with self._database.read_session() as session:
            for (column, order), group in groups.items():
                wanted = column.in_([key.value for key in group])
                rows = await session.scalars(select(column.class_).where(wanted).order_by(order))
                for row in rows:
                    found[_Many(column, getattr(row, column.key), order)].append(row)
        return [found[key] for key in keys]

    async def _load_pages(self, keys: list[_PageOf]) -> list[Slice]:
        groups: dict[tuple[Listing, Hashable, Page], list[_PageOf]] = defaultdict(list)
        for key in keys:
            groups[key.listing, key.filter, key.page].append(key)
        found: dict[_PageOf, list[Any]] = defaultdict(list)
        async with self._database.read_session() as session:
            for (listing, filter, page), group in groups.items():
                _refuse_too_many(len(group), page)
                parents = [key.parent for key in group]
                narrowed = listing.narrowed(self._narrowing(listing.row))
                statement = page_statement(narrowed, parents, filter, page)
                for parent, row in await session.execute(statement):
                    found[_PageOf(listing, parent, filter, page)].append(row)
        return [slice_of(found[key], key.page) for key in keys]

    async def _load_counts(self, keys: list[_CountOf]) -> list[int]:
        groups: dict[tuple[Listing, Hashable], list[_CountOf]] = defaultdict(list)
        for key in keys:
            groups[key.listing, key.filter].append(key)
        found: dict[_CountOf, int] = {}
        async with self._database.read_session() as session:
            for (listing, filter), group in groups.items():
                narrowed = listing.narrowed(self._narrowing(listing.row))
                statement = count_statement(narrowed, [key.parent for key in group], filter)
                for parent, number in await session.execute(statement):
                    found[_CountOf(listing, parent, filter)] = number
        return [found.get(key, 0) for key in keys]

    def _narrowing(self, row: type[models.Base]) -> Sequence[ColumnElement[bool]]:
        return () if self._actor is None else narrowing(self._actor, row)


def _refuse_too_many(parents: int, page: Page) -> None:
    if parents * page.limit > MAXIMUM_ROWS:
        raise LimitReached(
            f"{parents} objects with up to {page.limit} listed under each is more than one request"
            f" may read ({MAXIMUM_ROWS:,}).",
            hint="Ask for smaller pages with `first`, or for fewer parents.",
        )
