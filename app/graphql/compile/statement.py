"""A selection and the sources of its fields → one SELECT of the answer's text.

Each object is an expression: the concatenation of its fields' texts. What it leads to is a subquery in it that
refers to its row, down to the leaves. ``Place`` is such a row: a subquery of its own, so that the rooms'
declarations may name their tables as they are, however often a table comes up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLObjectType,
    SelectionSetNode,
    get_nullable_type,
    is_list_type,
)
from sqlalchemy import ColumnElement, Select, Text, case, cast, collate, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from strawberry.schema import Schema
from strawberry.types.arguments import convert_arguments

from app.access.visible import narrowing
from app.graphql import loaders
from app.graphql.compile.connections import connection
from app.graphql.compile.place import Field, Place, object_type
from app.graphql.compile.request import Asking, Reader, Shape, Uncovered
from app.graphql.compile.selection import Fields, Fragments, Selections
from app.graphql.compile.text import (
    Piece,
    boolean,
    impossible,
    joined,
    leaf,
    list_of,
    object_of,
    or_null,
    quoted,
    string,
)
from app.graphql.fields import pieces_of
from app.graphql.node import kind_of, reads_columns
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
    source_of,
)

MAXIMUM_FIELDS = 600
"""Of an operation that is compiled: its statement is about as long, and made while nobody else is served."""


class Compiler:
    """Makes one statement; ``shape`` has afterwards what it depends on."""

    def __init__(self, schema: Schema, fragments: Fragments, shape: Shape) -> None:
        self._schema = schema
        self.shape = shape
        self.selections = Selections(schema._schema, fragments, shape)
        self.actor = shape.actor()
        self._fields = self._rows = 0

    def query(self, kind: GraphQLObjectType, chosen: SelectionSetNode) -> Select[Any]:
        fields = self.selections.fields(kind, [chosen])
        return select(joined(self._of_fields(kind, fields, None, 1)))

    def object(
        self, kind: GraphQLObjectType, nodes: Sequence[FieldNode], place: Place, many: int
    ) -> list[Piece]:
        """What these nodes lead to, at this row."""
        return self._of_fields(kind, self.selections.below(kind, nodes), place, many)

    def _of_fields(
        self, kind: GraphQLObjectType, fields: Fields, place: Place | None, many: int
    ) -> list[Piece]:
        return object_of(
            [(name, self._value(kind, nodes, place, many)) for name, nodes in fields.items()]
        )

    def _below(self, field: Field, target: Place) -> ColumnElement[str]:
        return joined(self.object(field.kind, field.nodes, target, field.many))

    def _value(
        self, kind: GraphQLObjectType, nodes: Sequence[FieldNode], place: Place | None, many: int
    ) -> Sequence[Piece]:
        name = nodes[0].name.value
        self._fields += 1
        if self._fields > MAXIMUM_FIELDS:
            raise Uncovered("too many fields")
        if name == "__typename":
            return [f'"{kind.name}"']
        if name not in kind.fields:
            raise Uncovered(name)
        field = Field(nodes, kind.fields[name], place, many)
        source = field.declared.metadata.get(SOURCE)
        if source is None and field.declared.is_basic_field and _reads_columns(kind):
            source = Attribute(field.declared.python_name)
        return self._of_source(field, source)

    def _of_source(self, field: Field, source: Any) -> Sequence[Piece]:
        match source:
            case Texts():
                return self._texts(field.owner.column(source.column))
            case Attribute():
                return [self._attribute(field, source)]
            case Keys():
                return self._keys(field.owner.column(source.column))
            case Equals():
                return [boolean(field.owner.column(source.column) == source.value)]
            case Spelled():
                return [string(self._spelled(field.owner, source))]
            case Part():
                return [self._part(field, source)]
            case One():
                return [self._one(field, source)]
            case Every():
                return self._every(field, source)
            case PageOf():
                return [connection(self, field, source)]
            case Entry():
                return [self._entry(field, source)]
        raise Uncovered(field.name)

    def _attribute(self, field: Field, source: Attribute) -> ColumnElement[str]:
        if is_list_type(get_nullable_type(field.definition.type)):
            raise Uncovered(source.column)
        column, nullable = field.owner.column(source.column), field.owner.nullable(source.column)
        if source.or_else is not None:
            column, nullable = func.coalesce(column, literal(source.or_else)), False
        return leaf(column, field.definition.type, nullable=nullable)

    def _texts(self, column: ColumnElement[Any]) -> list[Piece]:
        elements = func.jsonb_array_elements_text(column).table_valued(
            "value", with_ordinality="place_in_list"
        )
        elements = elements.render_derived()  # or its columns have no such names
        ordered = aggregate_order_by(quoted(","), elements.c.place_in_list)
        listed = select(func.string_agg(string(elements.c.value), ordered)).select_from(elements)
        return list_of(listed.scalar_subquery())

    def _keys(self, column: ColumnElement[Any]) -> list[Piece]:
        key = func.jsonb_object_keys(column).column_valued("key")
        by_code_point = aggregate_order_by(quoted(","), collate(key, "C"))
        return list_of(select(func.string_agg(string(key), by_code_point)).scalar_subquery())

    def _spelled(self, place: Place, source: Spelled) -> ColumnElement[str]:
        pieces: list[Piece] = []
        for text, path in pieces_of(source.template):
            pieces.append(text)
            if path:
                pieces.append(self._followed(place, path))
        return joined(pieces)

    def _followed(self, place: Place, path: Sequence[str]) -> ColumnElement[Any]:
        if path[0] == "platform":
            return self.shape.bind(lambda asked: asked.spelled[path[1]])
        if len(path) == 1:
            return place.column(path[0])
        source = source_of(kind_of(place.model), path[0])
        target = self._target(place, source, None)
        found = select(cast(self._followed(target, path[1:]), Text)).select_from(target.row)
        return func.coalesce(found.scalar_subquery(), impossible(place.column("id")))

    def _part(self, field: Field, source: Part) -> ColumnElement[str]:
        owner = field.owner
        shown = self._below(field, Place(owner.row, owner.model, owner.prefix + source.prefix))
        if source.when is None:
            return shown
        return case((owner.column(source.when).is_(None), quoted("null")), else_=shown)

    def _one(self, field: Field, source: One) -> ColumnElement[str]:
        target = self._target(field.owner, source, field)
        found = select(self._below(field, target)).select_from(target.row).scalar_subquery()
        if source.optional:
            return or_null(found)
        return func.coalesce(found, impossible(field.owner.column(source.of_owner[0])))

    def _target(self, place: Place, source: One, field: Field | None) -> Place:
        """The row that the lookup finds from ``place``, and with the field's arguments."""
        lookup = source.lookup
        values: list[Any] = [place.column(name) for name in source.of_owner]
        if field is not None and source.arguments:
            given = self.given(field)
            values += [Asking(self.shape, given, name).bind() for name in source.arguments]
        matches = [column == value for column, value in zip(lookup.columns, values, strict=True)]
        statement = lookup.rows(lookup.row).where(*matches, *narrowing(self.actor, lookup.row))
        return Place(statement.correlate(place.row).subquery(), lookup.row)

    def _every(self, field: Field, source: Every) -> list[Piece]:
        statement = (
            select(source.row, source.order.label("place_in_list"))
            .where(source.column == field.owner.column(source.owner))
            .correlate(field.owner.row)
        )
        target = Place(statement.subquery(), source.row)
        ordered = aggregate_order_by(quoted(","), target.row.c.place_in_list)
        listed = func.string_agg(self._below(field, target), ordered)
        return list_of(select(listed).select_from(target.row).scalar_subquery())

    def _entry(self, field: Field, source: Entry) -> ColumnElement[str]:
        given = self.given(field)
        arguments = {name: Asking(self.shape, given, name) for name in source.arguments}
        statement = source.statement(self.actor, arguments)
        if statement is None:
            return quoted("null")
        model = statement.column_descriptions[0]["entity"]
        definition = kind_of(model).__strawberry_definition__  # type: ignore[attr-defined]
        kind = object_type(self._schema._schema.get_type(definition.name))
        target = Place(statement.subquery(), model)
        shown = joined(self.object(kind, field.nodes, target, field.many))
        return or_null(select(shown).select_from(target.row).scalar_subquery())

    def given(self, field: Field) -> Reader:
        """The field's arguments in an asking, by their names in Python."""
        registry = self._schema.schema_converter.scalar_registry
        declared, config = field.declared.arguments, self._schema.config

        def convert(values: dict[str, Any]) -> dict[str, Any]:
            return convert_arguments(values, declared, registry, config)

        return Reader(field.definition, field.nodes[0], convert)

    def count_rows(self, many: int) -> None:
        """So many more there may be. Raises Uncovered where the loaders might refuse them."""
        self._rows += many
        if self._rows > loaders.MAXIMUM_ROWS:
            raise Uncovered("the loaders see how many parents there really are")


def _reads_columns(kind: GraphQLObjectType) -> bool:
    """Whether its attributes without a source are columns of the same name."""
    return reads_columns(kind.extensions["strawberry-definition"].origin)
