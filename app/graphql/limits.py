"""How large a document may be, judged before it is validated and before anything of it runs.

Strawberry's limiters for depth and aliases run as validation rules: too late, since the specification's
own rule that fields can be merged compares every field of a name with every other one; and they walk a
fragment again at each place it is spread, so that thirty fragments that each spread the next one twice
keep them busy for hours. Here the document is walked once as the executor would, fields of one name
together, and never further than MAX_FIELDS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValidationRule,
)

MAX_TOKENS = 3_000
MAX_FIELDS = 5_000
"""After fragments are put in where they are spread."""
MAX_DEPTH = 18
MAX_ALIASES = 60
MAX_REPEATED = 40
"""How often one object may be asked for the same field, arguments and all."""


class _TooLarge(Exception):
    pass


class _Walk:
    """Raises _TooLarge, saying which limit."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._fields = self._aliases = 0
        operations: list[OperationDefinitionNode] = []
        for definition in document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self._fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode):
                operations.append(definition)
        for operation in operations:
            self._enter([operation.selection_set], depth=1)

    def _enter(self, together: Sequence[SelectionSetNode], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _TooLarge(f"It is more than {MAX_DEPTH} levels deep.")
        by_name: dict[str, list[FieldNode]] = {}
        for field in self._fields_of(together):
            self._count(field)
            name = (field.alias or field.name).value
            by_name.setdefault(name, []).append(field)
            if len(by_name[name]) > MAX_REPEATED:
                raise _TooLarge(f"It asks for {name} more than {MAX_REPEATED} times in one place.")
        for fields in by_name.values():
            inner = [field.selection_set for field in fields if field.selection_set]
            if inner:
                self._enter(inner, depth + 1)

    def _count(self, field: FieldNode) -> None:
        self._fields += 1
        self._aliases += field.alias is not None
        if self._fields > MAX_FIELDS:
            raise _TooLarge(f"It has more than {MAX_FIELDS} fields, fragments put in.")
        if self._aliases > MAX_ALIASES:
            raise _TooLarge(f"It has more than {MAX_ALIASES} aliases.")

    def _fields_of(self, together: Sequence[SelectionSetNode]) -> Iterator[FieldNode]:
        """Of one object, each fragment put in once, however often it is spread there."""
        spread: set[str] = set()
        waiting = list(together)
        while waiting:
            for selection in waiting.pop().selections:
                if isinstance(selection, FieldNode):
                    yield selection
                elif isinstance(selection, FragmentSpreadNode):
                    fragment = self._fragments.get(selection.name.value)
                    if fragment is not None and selection.name.value not in spread:
                        spread.add(selection.name.value)
                        waiting.append(fragment.selection_set)
                elif isinstance(selection, InlineFragmentNode):
                    waiting.append(selection.selection_set)


def refusal_of(document: DocumentNode) -> GraphQLError | None:
    """Why this document is too large to be looked at any closer."""
    try:
        _Walk(document)
    except _TooLarge as error:
        return GraphQLError(
            f"The document is too large. {error}", extensions={"code": "LIMIT_REACHED"}
        )
    return None


class CleanStrings(ValidationRule):
    """Refuses what Postgres cannot store as text, wherever in the document it is written."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if not is_clean(node.value):
            self.report_error(GraphQLError(UNCLEAN, [node], extensions={"code": "INVALID"}))


_UNCLEAN_CHARACTER = re.compile("[\0\ud800-\udfff]")
UNCLEAN = "A string holds a NUL character or half of a surrogate pair."


def is_clean(value: Any) -> bool:
    """Whether every string in a JSON value is text that can be stored."""
    if isinstance(value, str):
        return _UNCLEAN_CHARACTER.search(value) is None
    if isinstance(value, list):
        return all(map(is_clean, value))
    if isinstance(value, dict):
        return all(is_clean(key) and is_clean(inner) for key, inner in value.items())
    return True
