"""How large a document may be, judged before anything of it runs.

Strawberry's own depth and alias limiters walk a fragment again at each place it is spread, so that thirty
fragments that each spread the next one twice keep them busy for hours. These measure each fragment once.
They are made once too: validation results are cached by the rules' identity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValidationContext,
    ValidationRule,
)

MAX_DEPTH = 18
MAX_ALIASES = 60
MAX_TOKENS = 3_000


@dataclass(frozen=True)
class _Size:
    depth: int = 0
    aliases: int = 0


class LimitDocument(ValidationRule):
    """Refuses what is deeper than MAX_DEPTH or has more than MAX_ALIASES, spread fragments included."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        operations: list[OperationDefinitionNode] = []
        for definition in context.document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self._fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode):
                operations.append(definition)
        self._measured: dict[str, _Size] = {}
        for operation in operations:
            size = self._measure(operation.selection_set)
            if size.depth > MAX_DEPTH:
                self._refuse(f"It is {size.depth} levels deep; at most {MAX_DEPTH} are.", operation)
            if size.aliases > MAX_ALIASES:
                self._refuse(
                    f"It has {size.aliases} aliases; at most {MAX_ALIASES} are allowed.", operation
                )

    def _refuse(self, message: str, operation: OperationDefinitionNode) -> None:
        self.report_error(GraphQLError(message, [operation], extensions={"code": "LIMIT_REACHED"}))

    def _measure(self, selections: SelectionSetNode | None) -> _Size:
        depth = aliases = 0
        for selection in selections.selections if selections else ():
            size = _Size()
            if isinstance(selection, FieldNode):
                if selection.name.value.startswith("__"):
                    continue
                inner = self._measure(selection.selection_set)
                size = _Size(inner.depth + 1, inner.aliases + (selection.alias is not None))
            elif isinstance(selection, InlineFragmentNode):
                size = self._measure(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                size = self._measure_fragment(selection.name.value)
            depth = max(depth, size.depth)
            aliases += size.aliases
        return _Size(depth, aliases)

    def _measure_fragment(self, name: str) -> _Size:
        if name not in self._measured:
            self._measured[name] = _Size()  # a cycle ends here; another rule refuses it
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._measured[name] = self._measure(fragment.selection_set)
        return self._measured[name]


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
