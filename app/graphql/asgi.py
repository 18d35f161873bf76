"""The endpoint: who asks, how much they may send, what stays open, and the console for a browser.

A request with a token that is no good is refused as a whole, with 401. One without a token is answered:
it may read the schema, and each field that needs a token says so under its own path. A subscription comes
by WebSocket (``app/live/websocket.py``) or as server-sent events (``app/live/sse.py``).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from cross_web import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState
from strawberry.asgi import GraphQL
from strawberry.types.unset import UNSET

from app.access.actor import Actor
from app.access.authenticate import address_of, authenticate, credential_of, headers_of
from app.errors import LimitReached
from app.graphql.compile.answer import answer
from app.graphql.compile.plan import Plans
from app.graphql.context import Context, Parts, spelled_with
from app.graphql.errors import INTERNAL_MESSAGE, extensions_of, known_failure
from app.graphql.schema import schema
from app.http.rate_limits import standing_of
from app.ids import new_id
from app.live.caller import Caller
from app.live.doors import Doors
from app.live.sse import until_refused
from app.live.websocket import INIT_SECONDS, MAX_OPERATIONS, Connection, Handler

log = logging.getLogger("paas.graphql")

MAX_BODY_BYTES = 1 << 20

_CONSOLE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def graphql_app(container: Parts, *, compiled: bool = True) -> Endpoint:
    """The application to mount at ``/graphql``. Not ``compiled``: Strawberry answers everything."""
    return Endpoint(container, compiled=compiled)


class BodyTooLarge(LimitReached):
    http_status = 413


class Endpoint(GraphQL[Context, None]):
    graphql_transport_ws_handler_class = Handler  # type: ignore[assignment]

    def __init__(self, container: Parts, *, compiled: bool) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=("graphql-transport-ws", "graphql-sse"),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MAX_OPERATIONS,
            allowed_origins=(container.settings.external_url,),
        )
        self.doors = Doors(container.settings)
        dialect, spelled = container.database.engine.dialect, spelled_with(container)
        self._plans = Plans(schema, dialect, spelled) if compiled else None
        self._container = container
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End what streams, so that a server that stops need not wait; sockets the server itself closes."""
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(WebSocket(scope, receive=receive, send=send))
            return
        request = Request(scope, receive=_limited(receive))
        request_id = request.state.request_id = _request_id(request)
        with ExitStack() as inside:
            request.state.inside = inside
            response = await self._answer(request)
            response.headers["X-Request-Id"] = request_id
            try:
                await response(scope, receive, send)
            finally:
                if isinstance(response, StreamingResponse):
                    await response.body_iterator.aclose()  # type: ignore[attr-defined]

    async def _socket(self, socket: WebSocket) -> None:
        """Refused before it is open: by 401, 403 or 429. What may be wrong later, its handler says."""
        request_id = socket.state.request_id = _request_id(socket)
        try:
            with ExitStack() as inside:
                socket.state.inside = inside
                inside.enter_context(self.doors.from_address(address_of(socket.scope)))
                socket.state.actor = await self._actor(socket)
                await self._container.wakes.start()
                await self.run(socket)
        except Exception as error:  # noqa: BLE001 - the edge: told to the client, a bug is logged
            refusal = self._failed(error, request_id)
            if socket.application_state is WebSocketState.CONNECTING:
                await socket.send_denial_response(refusal)
            elif socket.application_state is WebSocketState.CONNECTED:
                await socket.close(1011)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET" and _wants_page(request):
            return HTMLResponse(_console(), headers=_CONSOLE_HEADERS)
        try:
            request.state.actor = await self._actor(request)
            return await self._compiled(request) or await self.run(request)
        except HTTPException as error:
            return _refusal(error.status_code, error.reason, {"code": "INVALID"})
        except RecursionError:
            return _refusal(400, "The request is nested too deeply.", {"code": "LIMIT_REACHED"})
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the edge: told to the client, a bug is logged
            return self._failed(error, request.state.request_id)

    async def _compiled(self, request: Request) -> Response | None:
        """The answer of one SQL statement; None when Strawberry is to answer."""
        actor, asks = request.state.actor, request.headers
        json = asks.get("content-type", "").startswith("application/json")
        if self._plans is None or actor is None or not json or _wants_stream(request):
            return None
        rate = standing_of(request.scope)
        charge = None if rate is None else rate.charge
        database, asked = self._container.database, await request.body()
        body = await answer(self._plans, database, actor, asked, charge)
        return None if body is None else Response(body, media_type="application/json")

    def _failed(self, error: Exception, request_id: str) -> Response:
        known = known_failure(error)
        if known is not None:
            return _refusal(known.http_status, known.message, extensions_of(known))
        log.error("request %s failed", request_id, exc_info=error, extra={"request_id": request_id})
        return _refusal(500, INTERNAL_MESSAGE, {"code": "INTERNAL", "requestId": request_id})

    async def _actor(self, request: HTTPConnection) -> Actor | None:
        """Raises what ``authenticate`` does; None when there is no credential at all."""
        container, request_id = self._container, request.state.request_id
        return await authenticate(
            request.scope, container.database, container.settings, request_id=request_id
        )

    def parse_json(self, data: str | bytes) -> Any:
        try:
            parsed = super().parse_json(data)
        except UnicodeDecodeError as error:
            raise HTTPException(400, "The body is not UTF-8") from error
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "The body is JSON, but not an object with a query")
        return parsed

    def encode_json(self, data: object) -> bytes:
        return msgspec.json.encode(data)

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        state, container = request.state, self._container
        if isinstance(request, WebSocket):
            return Connection(
                container,
                state.actor,
                state.request_id,
                doors=self.doors,
                credential=credential_of(headers_of(request.scope), container.settings),
                inside=state.inside,
                address=address_of(request.scope),
            )
        rate = standing_of(request.scope)
        context = Context(container, state.actor, state.request_id, rate=rate)
        if _wants_stream(request):
            context.caller = self._staying(request)
        return context

    def _staying(self, request: Request) -> Caller | None:
        """Whoever asks for a stream takes up room until it ends. Raises LimitReached."""
        inside, actor = request.state.inside, request.state.actor
        inside.enter_context(self.doors.from_address(address_of(request.scope)))
        credential = credential_of(headers_of(request.scope), self._container.settings)
        if actor is None or credential is None:
            return None
        inside.enter_context(self.doors.of_actor(actor))
        request.state.caller = Caller(self._container, credential, actor)
        caller: Caller = request.state.caller
        return caller

    async def on_ws_connect(self, context: Context) -> Any:
        assert isinstance(context, Connection)
        await context.admit()
        return UNSET

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], Any],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        """Of a caller without a token it ends by itself: no subscription lets it in."""
        await self._container.wakes.start()
        caller: Caller | None = getattr(request.state, "caller", None)
        text: AsyncGenerator[str, None] = stream()
        if caller is not None:
            text = until_refused(text, caller, self._stopping)
        return StreamingResponse(text, headers=dict(headers))


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


def _request_id(request: HTTPConnection) -> str:
    """What a proxy ahead of us called it, or a new one."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


def _wants_stream(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "").lower()


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
