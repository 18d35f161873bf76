"""A connection: its page as a subquery, and the text of what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLObjectType
from sqlalchemy import BigInteger, ColumnElement, String, Text, case, cast, select
from sqlalchemy.types import TypeEngine

from app.access.visible import narrowing
from app.errors import PaasError
from app.graphql.compile.pages import Window
from app.graphql.compile.place import Field, Place
from app.graphql.compile.request import Reader, Uncovered
from app.graphql.compile.text import Piece, joined, list_of, object_of, quoted
from app.graphql.connection import EVERYWHERE, Listing, Page, decode_cursor, page_of
from app.graphql.sources import PageOf, hashable

if TYPE_CHECKING:
    from app.graphql.compile.statement import Compiler


def connection(compiler: Compiler, field: Field, source: PageOf) -> ColumnElement[str]:
    window = _window(compiler, field, source)
    fields = compiler.selections.below(field.kind, field.nodes)
    many = field.many * window.limit
    compiler.count_rows(many)
    asked = {each.name.value for nodes in fields.values() for each in nodes}
    rows = window.rows(numbered="pageInfo" in asked)
    part = _Part(compiler, window, Place(rows, source.listing.row), many)
    text = joined(part.object(field.kind, field.nodes))
    if part.reads_page:
        text = select(text).select_from(rows).scalar_subquery()
    if source.parent is None or not field.owner.nullable(source.parent):
        return text
    return case((window.parent.is_(None), quoted("null")), else_=text)


def _window(compiler: Compiler, field: Field, source: PageOf) -> Window:
    """Raises Uncovered for a page that is refused: Strawberry says why."""
    listing, given = source.listing, compiler.given(field)
    decide = partial(compiler.shape.decide, varies=given.varies)
    page = decide(lambda asked: _page_size(listing, given(asked)))
    filter = None
    if source.filter is not None:
        name = source.filter
        filter = decide(lambda asked: hashable(given(asked)[name]))
    return Window(
        listing=listing,
        parent=quoted(EVERYWHERE) if source.parent is None else field.owner.column(source.parent),
        outer=None if field.place is None else field.place.row,
        limit=page.limit,
        backward=page.backward,
        after=_bound(compiler, listing, given, "after"),
        before=_bound(compiler, listing, given, "before"),
        filter=filter,
        narrowed=narrowing(compiler.actor, listing.row),
    )


def _page_size(listing: Listing, given: dict[str, Any]) -> Page:
    try:
        return page_of(listing, given.get("first"), None, given.get("last"), None)
    except PaasError as error:
        raise Uncovered(error.message) from error


def _bound(
    compiler: Compiler, listing: Listing, given: Reader, name: str
) -> ColumnElement[Any] | None:
    """The key of a cursor, as a parameter; a cursor of another list is refused when it is read."""
    if not compiler.shape.decide(
        lambda asked: given(asked).get(name) is not None, varies=given.varies
    ):
        return None
    kind: TypeEngine[Any] = String() if listing.key.type.python_type is str else BigInteger()

    def read(asked: Any) -> str | int:
        try:
            return decode_cursor(listing, given(asked)[name], name)
        except PaasError as error:
            raise Uncovered(error.message) from error

    return compiler.shape.bind(read, kind)


@dataclass
class _Part:
    """What is asked of a connection, and of its edges and page info."""

    compiler: Compiler
    window: Window
    place: Place
    many: int
    reads_page: bool = False
    """The text has an aggregate of the page's rows in it: without one there would be a text for each row."""

    def object(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> list[Piece]:
        fields = self.compiler.selections.below(kind, nodes)
        return object_of([(name, self._value(kind, each)) for name, each in fields.items()])

    def _value(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Sequence[Piece]:
        name, rows = nodes[0].name.value, self.place.row
        if name == "__typename":
            return [f'"{kind.name}"']
        if name == "totalCount":
            return [cast(self.window.count(), Text)]
        field = Field(nodes, kind.fields[name], self.place, self.many)
        match name:
            case "nodes":
                self.reads_page = True
                node = self.compiler.object(field.kind, nodes, self.place, self.many)
                return list_of(self.window.listed(rows, joined(node)))
            case "edges":
                self.reads_page = True
                edge = self.object(field.kind, nodes)
                return list_of(self.window.listed(rows, joined(edge)))
            case "node":
                return self.compiler.object(field.kind, nodes, self.place, self.many)
            case "cursor":
                return [self.window.cursor(rows)]
            case "pageInfo":
                return self.object(field.kind, nodes)
        self.reads_page |= not self.window.knows(name)
        return [self.window.named(name, rows)]
