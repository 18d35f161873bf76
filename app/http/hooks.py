"""``POST /hooks/{app}/{host}``: GitHub, GitLab and Gitea say that somebody pushed. A row, and 202 at once."""

from __future__ import annotations

import logging
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.crypto import SecretBox
from app.db import Database
from app.errors import NotFound, PaasError
from app.models import RemoteHost
from app.names import is_id
from app.remotes import service
from app.remotes.plan import MAX_BODY_BYTES, Ignored

logger = logging.getLogger(__name__)


class HooksContainer(Protocol):
    """What of the process's wiring is used here."""

    @property
    def database(self) -> Database: ...
    @property
    def secret_box(self) -> SecretBox: ...


def routes(container: HooksContainer) -> list[BaseRoute]:
    async def hook(request: Request) -> Response:
        try:
            return await _take(container, request)
        except PaasError as error:
            return _answer(error.http_status, error.message, error.hint)
        except (SQLAlchemyError, OSError):
            logger.exception("hooks: a message could not be stored")
            return _answer(503, "The platform's database does not answer; send it again.")

    return [Route("/hooks/{app}/{host}", hook, methods=["POST"])]


async def _take(container: HooksContainer, request: Request) -> Response:
    app_id, host = request.path_params["app"], request.path_params["host"]
    if not is_id(app_id) or host not in list(RemoteHost):
        raise NotFound(
            "There is no such hook.", hint="It is /hooks/APP_ID/github, gitlab or gitea."
        )
    body = await _body(request)
    if body is None:
        return _answer(413, f"A message has at most {MAX_BODY_BYTES:,} bytes.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    async with container.database.write_transaction() as session:
        taken = await service.take(
            session, container.secret_box, app_id, RemoteHost(host), headers, body
        )
    if isinstance(taken, Ignored):
        return _answer(200, taken.reason)
    return JSONResponse({"id": taken.id, "status": taken.status.value}, status_code=202)


async def _body(request: Request) -> bytes | None:
    """None when it is too long: then it is not read to its end."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        return None
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        return b""
    return bytes(received)


def _answer(status: int, message: str, hint: str | None = None) -> Response:
    return JSONResponse({"message": message, "hint": hint}, status_code=status)
