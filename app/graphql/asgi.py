"""The HTTP endpoint: who asks, how much they may send, and the console for a browser.

A request with a token that is no good is refused as a whole, with 401. One without a token is answered:
it may read the schema, and each field that needs a token says so under its own path.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib.resources import files
from typing import Any

from cross_web import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

from app.access.actor import Actor
from app.access.authenticate import authenticate
from app.errors import LimitReached
from app.graphql.context import Context, Parts
from app.graphql.errors import INTERNAL_MESSAGE, extensions_of, known_failure
from app.graphql.schema import schema
from app.ids import new_id

log = logging.getLogger("paas.graphql")

MAX_BODY_BYTES = 1 << 20

_CONSOLE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def graphql_app(container: Parts) -> ASGIApp:
    """The application to mount at ``/graphql``."""
    return Endpoint(container)


class BodyTooLarge(LimitReached):
    http_status = 413


class Endpoint(GraphQL[Context, None]):
    def __init__(self, container: Parts) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=("graphql-transport-ws", "graphql-sse"),
            allowed_origins=(container.settings.external_url,),
        )
        self._container = container

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # The schema has no subscription: a socket would only be a way to outlive its token.
            await WebSocket(scope, receive=receive, send=send).close(code=1008)
            return
        request = Request(scope, receive=_limited(receive))
        request_id = request.state.request_id = _request_id(request)
        response = await self._answer(request)
        response.headers["X-Request-Id"] = request_id
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET" and _wants_page(request):
            return HTMLResponse(_console(), headers=_CONSOLE_HEADERS)
        try:
            request.state.actor = await self._actor(request)
            return await self.run(request)
        except HTTPException as error:
            return _refusal(error.status_code, error.reason, {"code": "INVALID"})
        except RecursionError:
            return _refusal(400, "The request is nested too deeply.", {"code": "LIMIT_REACHED"})
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            known = known_failure(error)
            if known is not None:
                return _refusal(known.http_status, known.message, extensions_of(known))
            request_id = request.state.request_id
            log.exception("request %s failed", request_id, extra={"request_id": request_id})
            return _refusal(500, INTERNAL_MESSAGE, {"code": "INTERNAL", "requestId": request_id})

    async def _actor(self, request: Request) -> Actor | None:
        """Raises what ``authenticate`` does; None when there is no credential at all."""
        container, request_id = self._container, request.state.request_id
        return await authenticate(
            request.scope, container.database, container.settings, request_id=request_id
        )

    def parse_json(self, data: str | bytes) -> Any:
        parsed = super().parse_json(data)
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "The body is JSON, but not an object with a query")
        return parsed

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        return Context(self._container, request.state.actor, request.state.request_id)


def _limited(receive: Receive) -> Receive:
    """``receive``, but raising BodyTooLarge as soon as more than MAX_BODY_BYTES have come."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The request's body is over {MAX_BODY_BYTES // 1024} KiB.")
        return message

    return limited


_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def _request_id(request: Request) -> str:
    """What a proxy ahead of us called it, or a new one."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and "query" not in request.query_params


@cache
def _console() -> str:
    return files("app.graphql").joinpath("console.html").read_text()


def _refusal(status: int, message: str, extensions: dict[str, Any]) -> Response:
    """The whole request refused, in the shape of any other GraphQL error."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(
        {"errors": [{"message": message, "extensions": extensions}]}, status, headers
    )
