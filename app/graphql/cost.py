"""What an operation may come to: how many objects its answer can hold at most.

A page counts as full, so that the cost is known before anything is read, and does not depend on who asks. Lists
that are short by nature count once. Every answer says its cost in ``extensions``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

from app.graphql.connection import DEFAULT_PAGE

MAX_COST = 1_000_000
OBJECTS_A_REQUEST = 10_000
"""So many more objects count as one more request among the rate limits."""

_CONNECTION = "Connection"
_ABOUT = "PageInfo"
"""Costs nothing: it is about the page."""

_Composite = GraphQLObjectType | GraphQLInterfaceType


@dataclass
class Price:
    """Of one operation. What variables say of its pages' sizes decides, and is looked up when it was so before."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    _sizes: tuple[str, ...] | None = None
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def at(self, variables: Mapping[str, Any] | None) -> int:
        given = variables or {}
        if self._sizes is None:
            self._sizes = tuple(sorted(self._walk({}).variables))
        key = tuple(_hashable(given.get(name)) for name in self._sizes)
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._walk(given).cost
        return self._known[key]

    def _walk(self, given: Mapping[str, Any]) -> _Walk:
        root = self.schema.get_root_type(self.operation.operation)
        defaults = {
            each.variable.name.value: each.default_value
            for each in self.operation.variable_definitions or ()
        }
        walk = _Walk(self.schema, self.fragments, given, defaults)
        if root is not None:
            walk.enter([(root, self.operation.selection_set)], 1)
        return walk


_MOST_KNOWN = 64


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int) else None


def further_requests(cost: int) -> int:
    """As what an operation counts among the rate limits, beside the one that each request is."""
    return min(cost, MAX_COST) // OBJECTS_A_REQUEST


def cost_extension(cost: int) -> dict[str, Any]:
    """Of every answer's ``extensions``."""
    return {"cost": {"objects": cost, "maximum": MAX_COST}}


def refusal_of_cost(cost: int) -> GraphQLError | None:
    if cost <= MAX_COST:
        return None
    return GraphQLError(
        f"This asks for up to {cost:,} objects; one request may ask for {MAX_COST:,}.",
        extensions={
            "code": "LIMIT_REACHED",
            "hint": "Ask for smaller pages with `first`: a page has 20 when nothing is said.",
        },
    )


@dataclass
class _Walk:
    """As the executor walks: fields of one name together, a fragment once in each object."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    given: Mapping[str, Any]
    defaults: Mapping[str, ValueNode | None]
    cost: int = 0
    variables: set[str] = field(default_factory=set)

    def enter(self, together: Sequence[tuple[_Composite, SelectionSetNode]], many: int) -> None:
        groups: dict[tuple[str, str], list[FieldNode]] = {}
        owners: dict[str, _Composite] = {}
        for owner, node in self._fields_of(together):
            owners[owner.name] = owner
            groups.setdefault((owner.name, (node.alias or node.name).value), []).append(node)
        for (owner_name, _), nodes in groups.items():
            self._field(owners[owner_name], nodes, many)

    def _field(self, owner: _Composite, nodes: Sequence[FieldNode], many: int) -> None:
        definition = owner.fields.get(nodes[0].name.value)
        kind = None if definition is None else get_named_type(definition.type)
        if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) or kind.name == _ABOUT:
            return
        listed = many * self._page_size(nodes[0]) if kind.name.endswith(_CONNECTION) else many
        self.cost += many
        inner = [(kind, node.selection_set) for node in nodes if node.selection_set]
        self.enter(inner, listed)

    def _page_size(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in {"first", "last"}:
                size = self._number(argument.value)
                if size is not None:
                    return max(size, 0)
        return DEFAULT_PAGE

    def _number(self, value: ValueNode | None) -> int | None:
        if isinstance(value, VariableNode):
            name = value.name.value
            self.variables.add(name)
            if name not in self.given:
                return self._number(self.defaults.get(name))
            given = self.given[name]
            return given if isinstance(given, int) else None
        return int(value.value) if isinstance(value, IntValueNode) else None

    def _fields_of(
        self, together: Sequence[tuple[_Composite, SelectionSetNode]]
    ) -> Iterator[tuple[_Composite, FieldNode]]:
        spread: set[str] = set()
        waiting = list(together)
        while waiting:
            owner, chosen = waiting.pop()
            for node in chosen.selections:
                if isinstance(node, FieldNode):
                    yield owner, node
                elif isinstance(node, InlineFragmentNode):
                    condition = node.type_condition
                    inside = owner if condition is None else self._named(condition.name.value)
                    waiting.append((inside or owner, node.selection_set))
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                    spread.add(node.name.value)
                    fragment = self.fragments[node.name.value]
                    inside = self._named(fragment.type_condition.name.value)
                    waiting.append((inside or owner, fragment.selection_set))

    def _named(self, name: str) -> _Composite | None:
        found = self.schema.get_type(name)
        return found if isinstance(found, GraphQLObjectType | GraphQLInterfaceType) else None
