"""One execution of an event for all who asked the same of it.

A line of a log goes to a hundred viewers, whose subscriptions are mostly the same document. What such an event
shows depends on nobody who looks: whether they may is asked elsewhere (``app/live/watch.py:while_allowed``).
"""

from __future__ import annotations

from typing import Any

from graphql import ExecutionResult, OperationDefinitionNode
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class Answers(dict[int, tuple[OperationDefinitionNode, Any]]):
    """What an event was answered with, by the operation's node: parsed documents are kept and the same."""


class SharingExecutor(StrawberryGraphQLCoreExecutionContext):
    """An event that has ``answers`` is executed once for each document, unless that is by its variables
    another one for each viewer."""

    def execute_operation(self, serially: bool | None = None) -> Any:
        answers = getattr(self.root_value, "answers", None)
        if not isinstance(answers, Answers) or not _is_the_same_for_all(self.operation):
            return super().execute_operation(serially)
        known = answers.get(id(self.operation))
        if known is not None:
            return ExecutionResult(known[1], None)
        result = super().execute_operation(serially)
        if isinstance(result, ExecutionResult) and not result.errors:
            answers[id(self.operation)] = (self.operation, result.data)
        return result


def _is_the_same_for_all(operation: OperationDefinitionNode) -> bool:
    """No ``@include`` or ``@skip``: nothing else in an event's selection can hang on a variable."""
    return operation.loc is not None and "@" not in operation.loc.source.body
