"""A document, parsed and judged once for both ways of answering: its size, then whether it is valid.

Kept by its text, within bounds. What each operation costs is kept with it, unless variables decide that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from app.graphql.cost import Price, cost_extension, further_requests, refusal_of_cost
from app.graphql.limits import MAX_TOKENS, CleanStrings, refusal_of

CACHED_DOCUMENTS = 256
_MAX_CACHED_CHARACTERS = 32_768
_RULES: tuple[type[ASTValidationRule], ...] = (*specified_rules, CleanStrings)


@dataclass(frozen=True)
class Checked:
    """``errors`` is empty for a document that may be executed."""

    document: DocumentNode
    errors: tuple[GraphQLError, ...]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The one of this name, or the only one."""
        named = [each for each in self.operations if name is None or _name(each) == name]
        return named[0] if len(named) == 1 else None

    def price(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> Price:
        """What the operation costs."""
        name = _name(operation)
        if name not in self._prices:
            self._prices[name] = Price(schema, operation, self.fragments)
        return self._prices[name]

    @cached_property
    def _prices(self) -> dict[str | None, Price]:
        return {}

    @cached_property
    def operations(self) -> tuple[OperationDefinitionNode, ...]:
        found = self.document.definitions
        return tuple(each for each in found if isinstance(each, OperationDefinitionNode))

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        found = self.document.definitions
        return {each.name.value: each for each in found if isinstance(each, FragmentDefinitionNode)}


def _name(operation: OperationDefinitionNode) -> str | None:
    return None if operation.name is None else operation.name.value


def checked(schema: GraphQLSchema, query: str) -> Checked:
    """Raises GraphQLError for what is no document, or has too many tokens."""
    if len(query) > _MAX_CACHED_CHARACTERS:
        return _check(schema, query)
    return _checked(schema, query)


def _check(schema: GraphQLSchema, query: str) -> Checked:
    document = parse(query, max_tokens=MAX_TOKENS)
    refusal = refusal_of(document)
    errors = [refusal] if refusal else validate_document(schema, document, _RULES)
    return Checked(document, tuple(errors))


_checked = lru_cache(maxsize=CACHED_DOCUMENTS)(_check)


class CheckedDocuments(SchemaExtension):
    """Has Strawberry take the parsed document and what is wrong with it from here."""

    _found: Checked | None = None
    _cost: int | None = None

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            core: Any = context.schema
            try:
                self._found = checked(core._schema, context.query)
            except GraphQLError:
                context.parse_options["max_tokens"] = (
                    MAX_TOKENS  # and parse it again, to the same error
                )
            else:
                context.graphql_document = self._found.document
        yield

    def on_validate(self) -> Iterator[None]:
        if self._found is not None:
            self.execution_context.pre_execution_errors = list(self._found.errors) or self._priced()
        yield

    def _priced(self) -> list[GraphQLError]:
        """Refuses what costs too much; afterwards the answer says what it costs."""
        context = self.execution_context
        assert self._found is not None
        operation = self._found.operation(context.operation_name)
        if operation is None:
            return []
        core: Any = context.schema
        self._cost = self._found.price(core._schema, operation).at(context.variables)
        charge = getattr(context.context, "charge", None)
        if charge is not None:
            charge(further_requests(self._cost))
        refusal = refusal_of_cost(self._cost)
        return [] if refusal is None else [refusal]

    def get_results(self) -> dict[str, Any]:
        return {} if self._cost is None else cost_extension(self._cost)
