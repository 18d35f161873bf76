"""How failures are told over REST: ``{"error": {"code", "message", "field", "hint"}}``."""

from __future__ import annotations

import logging

import msgspec
from starlette.responses import Response

from app.db import outage
from app.errors import InvalidInput, LimitReached, NotFound, PaasError, RateLimited
from app.rest.endpoint import Answer

logger = logging.getLogger(__name__)


class MalformedBody(InvalidInput):
    """The body is not JSON at all."""

    http_status = 400


class BodyTooLarge(LimitReached):
    code = "TOO_LARGE"
    http_status = 413


class NoSuchPath(NotFound):
    """No endpoint has this path, whatever the caller may see."""


class NoSuchMethod(PaasError):
    code = "METHOD_NOT_ALLOWED"
    http_status = 405


class ErrorDetail(Answer, frozen=True):
    code: str
    message: str
    field: str | None = None
    """Which part of the input it is about."""
    hint: str | None = None
    """What to do next."""


class ErrorAnswer(Answer, frozen=True):
    error: ErrorDetail


def failed(error: Exception, request_id: str) -> Response:
    """The response to whatever was raised; a bug is logged here and masked."""
    known = error if isinstance(error, PaasError) else outage(error)
    if known is None:
        logger.error(
            "request %s failed", request_id, exc_info=error, extra={"request_id": request_id}
        )
        known = PaasError(
            "Something went wrong on our side.",
            hint=f"The server's log has the details under the request id {request_id}.",
        )
    detail = ErrorDetail(code=known.code, message=known.message, field=known.field, hint=known.hint)
    headers = {"WWW-Authenticate": 'Bearer realm="paas"'} if known.http_status == 401 else {}
    if isinstance(known, RateLimited):
        headers["Retry-After"] = str(known.retry_after_seconds)
    return Response(
        msgspec.json.encode(ErrorAnswer(error=detail)),
        known.http_status,
        headers,
        media_type="application/json",
    )
