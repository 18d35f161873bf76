"""Random queries against a schema: fields with arguments, aliases, fragments, directives and variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
)

Composite = GraphQLObjectType | GraphQLInterfaceType
Values = Callable[[str, str, str], Sequence[Any]]
"""What to give an argument: of which type's field, and by what name."""


@dataclass(frozen=True)
class Query:
    document: str
    variables: Mapping[str, Any]


@dataclass
class _Writer:
    random: Random
    schema: GraphQLSchema
    values: Values
    left_out: frozenset[tuple[str, str]]
    deepest: int
    room: int = 40
    """For so many more fields, or a few more to end with."""
    names: int = 0
    definitions: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)

    def chance(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0

    def fresh(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def selection(self, kind: Composite, depth: int) -> str:
        fields = [
            (name, each)
            for name, each in kind.fields.items()
            if (kind.name, name) not in self.left_out
            and (depth < self.deepest or is_leaf_type(get_named_type(each.type)))
        ]
        chosen = self.random.choices(fields, k=self.random.randint(1, 4)) if fields else []
        parts = [self.field(kind, name, each, depth) for name, each in chosen]
        if isinstance(kind, GraphQLInterfaceType):
            kinds = list(self.schema.get_possible_types(kind))
            parts += [
                self.fragment(each, depth, conditional=True)
                for each in self.random.choices(kinds, k=self.random.randint(1, 3))
            ]
        elif self.chance(8):
            parts.append(self.fragment(kind, depth))
        if self.chance(6) or not parts:
            parts.append("__typename")
        return "{ " + " ".join(parts) + " }"

    def fragment(self, kind: Composite, depth: int, *, conditional: bool = False) -> str:
        inner = self.selection(kind, depth)
        if self.chance(2):
            condition = "" if not conditional and self.chance(2) else f"on {kind.name}"
            return f"... {condition} {self.directive()} {inner}"
        name = self.fresh("F")
        self.fragments.append(f"fragment {name} on {kind.name} {inner}")
        return f"...{name} {self.directive()}"

    def field(self, kind: Composite, name: str, definition: GraphQLField, depth: int) -> str:
        arguments = self.arguments(kind, name, definition)
        alias = f"{self.fresh('a')}: " if arguments or self.chance(5) else ""
        named = get_named_type(definition.type)
        inner = ""
        if not is_leaf_type(named):
            assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
            inner = self.selection(named, depth + 1)
        return f"{alias}{name}{arguments} {self.directive()} {inner}"

    def directive(self) -> str:
        if not self.chance(12):
            return ""
        name = self.random.choice(["include", "skip"])
        wanted = self.chance(2)
        if self.chance(2):
            return f"@{name}(if: {json.dumps(wanted)})"
        return f"@{name}(if: {self.variable('Boolean!', wanted)})"

    def variable(self, kind: str, value: Any) -> str:
        name = self.fresh("v")
        self.definitions[name] = kind
        self.given[name] = value
        return f"${name}"

    def arguments(self, kind: Composite, name: str, definition: GraphQLField) -> str:
        parts = []
        for argument_name, argument in definition.args.items():
            required = (
                isinstance(argument.type, GraphQLNonNull) and argument.default_value is not None
            )
            if not required and not self.chance(3):
                continue
            values = self.values(kind.name, name, argument_name)
            if values:
                value = self.random.choice(values)
                parts.append(f"{argument_name}: {self.value(argument, value)}")
        return f"({', '.join(parts)})" if parts else ""

    def value(self, argument: GraphQLArgument, value: Any) -> str:
        if self.chance(2):
            return self.variable(str(argument.type), value)
        named = get_named_type(argument.type)
        if isinstance(named, GraphQLEnumType):
            if isinstance(get_nullable_type(argument.type), GraphQLList) and value is not None:
                return f"[{', '.join(value)}]"
            return "null" if value is None else str(value)
        return json.dumps(value)


def random_query(
    seed: int,
    schema: GraphQLSchema,
    values: Values,
    *,
    left_out: frozenset[tuple[str, str]] = frozenset(),
    deepest: int = 7,
) -> Query:
    """The same for the same seed. ``left_out``: fields, each a type's name and its own, never asked for."""
    writer = _Writer(Random(seed), schema, values, left_out, deepest)
    assert schema.query_type is not None
    body = writer.selection(schema.query_type, 0)
    defined = ", ".join(f"${name}: {kind}" for name, kind in writer.definitions.items())
    head = f"query ({defined})" if defined else "query"
    return Query("\n".join([f"{head} {body}", *writer.fragments]), writer.given)
