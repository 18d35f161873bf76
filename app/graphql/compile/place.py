"""Where an expression stands: the row that it refers to, and the field that it is the value of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLField, GraphQLObjectType, get_named_type
from sqlalchemy import ColumnElement, FromClause

from app import models
from app.graphql.compile.request import Uncovered


@dataclass(frozen=True)
class Place:
    """A row that expressions refer to: its columns by name, and the model that says what they may hold."""

    row: FromClause
    model: type[models.Base]
    prefix: str = ""
    """Of the columns of a part."""

    def column(self, name: str) -> ColumnElement[Any]:
        found: ColumnElement[Any] = self.row.c[self.prefix + name]
        return found

    def nullable(self, name: str) -> bool:
        return bool(self.model.__table__.c[self.prefix + name].nullable)


@dataclass(frozen=True)
class Field:
    """A field where it is asked for: its nodes are one in the answer."""

    nodes: Sequence[FieldNode]
    definition: GraphQLField
    place: Place | None
    """The owner's row; None at the top."""
    many: int
    """How many owners there may be."""

    @property
    def name(self) -> str:
        return self.nodes[0].name.value

    @property
    def declared(self) -> Any:
        """Strawberry's own field."""
        return self.definition.extensions["strawberry-definition"]

    @property
    def kind(self) -> GraphQLObjectType:
        """Of what it leads to."""
        return object_type(get_named_type(self.definition.type))

    @property
    def owner(self) -> Place:
        if self.place is None:
            raise Uncovered(self.name)
        return self.place


def object_type(found: Any) -> GraphQLObjectType:
    if not isinstance(found, GraphQLObjectType):
        raise Uncovered(str(found))
    return found
