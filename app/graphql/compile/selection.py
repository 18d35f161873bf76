"""Which fields of one object an answer holds, in their order: what the GraphQL specification calls CollectFields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLDirective,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)

from app.graphql.compile.request import Reader, Shape, Uncovered

Fragments = Mapping[str, FragmentDefinitionNode]
Fields = dict[str, list[FieldNode]]
"""By the name in the answer. Several nodes of one name are the same field, and their selections are one."""


class Selections:
    def __init__(self, schema: GraphQLSchema, fragments: Fragments, shape: Shape) -> None:
        self._schema = schema
        self._fragments = fragments
        self._shape = shape

    def fields(self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> Fields:
        found: Fields = {}
        spread: set[str] = set()
        for each in sets:
            self._collect(kind, each, found, spread)
        return found

    def below(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Fields:
        """Of the object that these nodes lead to."""
        return self.fields(kind, [node.selection_set for node in nodes if node.selection_set])

    def _collect(
        self, kind: GraphQLObjectType, chosen: SelectionSetNode, found: Fields, spread: set[str]
    ) -> None:
        for node in chosen.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault((node.alias or node.name).value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                if condition is None or self._applies(condition.name.value, kind):
                    self._collect(kind, node.selection_set, found, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                fragment = self._fragments[node.name.value]
                if self._applies(fragment.type_condition.name.value, kind):
                    self._collect(kind, fragment.selection_set, found, spread)

    def _included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            if directive.name.value == "skip":
                definition, wanted = GraphQLSkipDirective, False
            elif directive.name.value == "include":
                definition, wanted = GraphQLIncludeDirective, True
            else:
                raise Uncovered(f"@{directive.name.value}")
            if self._condition(definition, directive) is not wanted:
                return False
        return True

    def _condition(self, definition: GraphQLDirective, directive: DirectiveNode) -> bool:
        given = Reader(definition, directive)
        return self._shape.decide(lambda asked: bool(given(asked)["if"]), varies=given.varies)

    def _applies(self, name: str, kind: GraphQLObjectType) -> bool:
        condition = self._schema.get_type(name)
        if isinstance(condition, GraphQLInterfaceType):
            return self._schema.is_sub_type(condition, kind)
        return condition is kind
