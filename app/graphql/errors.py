"""Failures as a client sees them.

A mutation answers with ``userErrors`` in its payload. A query that cannot be answered has an entry in
``errors`` whose ``extensions.code`` is one of the same codes. Anything that is not a ``PaasError`` is a
bug: the client gets ``INTERNAL`` and a request id, and the server's log has the exception under that id.
"""

from __future__ import annotations

import enum
import logging
import re
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaskErrors

from app.db import outage
from app.errors import PaasError

log = logging.getLogger("paas.graphql")

INTERNAL_MESSAGE = "Something went wrong on our side. The server's log has the details."


@strawberry.enum(description="What kind of failure it was; `message` and `hint` are for people.")
class UserErrorCode(enum.Enum):
    INVALID = "INVALID"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    TAKEN = "TAKEN"
    CONFLICT = "CONFLICT"
    LIMIT_REACHED = "LIMIT_REACHED"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"
    DEFAULT_ENVIRONMENT = "DEFAULT_ENVIRONMENT"
    IN_PROGRESS = "IN_PROGRESS"
    EXTERNAL_FAILURE = "EXTERNAL_FAILURE"


@strawberry.type(description="Why a mutation did nothing. When there is one, nothing was changed.")
class UserError:
    code: UserErrorCode
    message: str
    field: list[str] | None = strawberry.field(
        description='Path of the offending value in the mutation\'s input, e.g. `["slug"]`.'
    )
    hint: str | None = strawberry.field(description="What to do or type next.")


def user_error(error: PaasError) -> UserError:
    return UserError(
        code=UserErrorCode(error.code),
        message=error.message,
        field=field_path(error.field),
        hint=error.hint,
    )


_SNAKE = re.compile(r"[a-z]+(_[a-z0-9]+)+")


def field_path(field: str | None) -> list[str] | None:
    """``"branch_pattern"`` as ``["branchPattern"]``; dots separate; names such as ``A_KEY`` stay as they are."""
    if field is None:
        return None
    return [_camel(part) if _SNAKE.fullmatch(part) else part for part in field.split(".")]


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def known_failure(error: BaseException | None) -> PaasError | None:
    """The failure that a caller can act on, or None for a bug."""
    if error is None or isinstance(error, PaasError):
        return error
    return outage(error)


def extensions_of(error: PaasError) -> dict[str, Any]:
    """``extensions`` of an error entry: the code always, field and hint when there are any."""
    found = {"code": error.code, "field": field_path(error.field), "hint": error.hint}
    return {name: value for name, value in found.items() if value is not None}


class ReportErrors(MaskErrors):
    """Gives every error of a response its code, and hides what must not leave the server."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=_is_ours)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        known = known_failure(error.original_error)
        if known is not None:
            return _replaced(error, known.message, extensions_of(known))
        request_id = self.execution_context.context.request_id
        path = ".".join(str(part) for part in error.path or ())
        log.error(
            "request %s failed at %s",
            request_id,
            path,
            exc_info=error.original_error,
            extra={"request_id": request_id},
        )
        return _replaced(error, INTERNAL_MESSAGE, {"code": "INTERNAL", "requestId": request_id})


def _is_ours(error: GraphQLError) -> bool:
    """Whether a resolver raised it; the rest are the document's own mistakes, in GraphQL's words."""
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError)


def _replaced(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
