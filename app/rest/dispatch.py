"""A request's way to its handler: who asks, what is given, one transaction, the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.access.actor import Actor
from app.access.authenticate import authenticate
from app.errors import InvalidInput, Unauthenticated
from app.ids import new_id
from app.rest.endpoint import Answer, Call, Endpoint, Given, PlainText, RestContainer
from app.rest.errors import BodyTooLarge, MalformedBody, NoSuchMethod, NoSuchPath, failed

MAX_BODY_BYTES = 1024 * 1024

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_AT_FIELD = re.compile(r"at `\$\.([^`]+)`")
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`")


class PathApp:
    """Every method of one path, as an ASGI application."""

    def __init__(self, container: RestContainer, endpoints: Sequence[Endpoint]) -> None:
        self._container = container
        self._endpoints = {endpoint.method: endpoint for endpoint in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request_id = _request_id(request)
        try:
            response = await self._answer(request, request_id)
        except Exception as error:  # noqa: BLE001 - the edge: told to the client, a bug is logged
            response = failed(error, request_id)
        response.headers["X-Request-Id"] = request_id
        await response(scope, receive, send)

    async def _answer(self, request: Request, request_id: str) -> Response:
        actor = await self._authenticate(request, request_id)
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = self._endpoints.get(method)  # type: ignore[call-overload]
        if endpoint is None:
            raise self._no_such(request)
        answer = await self._handle(endpoint, request, actor)
        if answer is None:
            return Response(status_code=endpoint.status)
        if isinstance(answer, PlainText):
            return PlainTextResponse(answer.text, endpoint.status)
        body = msgspec.json.encode(answer)
        return Response(body, endpoint.status, media_type="application/json")

    def _no_such(self, request: Request) -> NoSuchPath | NoSuchMethod:
        if not self._endpoints:
            return NoSuchPath(
                f"There is nothing at {request.url.path[:200]}.", hint="See /api/openapi.json."
            )
        return NoSuchMethod(
            f"{request.method} is not possible here.",
            hint=f"Possible are: {', '.join(self._endpoints)}.",
        )

    async def _authenticate(self, request: Request, request_id: str) -> Actor:
        container = self._container
        actor = await authenticate(
            request.scope, container.database, container.settings, request_id=request_id
        )
        if actor is None:
            raise Unauthenticated(
                "This needs a token.", hint="Send the header 'Authorization: Bearer paas_…'."
            )
        return actor

    async def _handle(self, endpoint: Endpoint, request: Request, actor: Actor) -> Answer | None:
        given = await _input(endpoint, request)
        path: Mapping[str, str] = request.path_params
        database = self._container.database
        if endpoint.method == "GET":
            async with database.read_session() as reading:
                return await endpoint.handle(Call(reading, actor, self._container, path, given))
        async with database.write_transaction() as writing:
            writing.act_for(actor)
            return await endpoint.handle(Call(writing, actor, self._container, path, given))


def _request_id(request: Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


async def _input(endpoint: Endpoint, request: Request) -> Given:
    """Raises InvalidInput naming the field."""
    body = await _body(request)
    try:
        if endpoint.takes_body:
            return msgspec.json.decode(body or b"{}", type=endpoint.input)
        return msgspec.convert(dict(request.query_params), endpoint.input, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error, endpoint) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody(
            f"The body is not JSON: {error}", hint="Send an object, encoded in UTF-8."
        ) from error


def _invalid(error: msgspec.ValidationError, endpoint: Endpoint) -> InvalidInput:
    found = _UNKNOWN_FIELD.search(str(error)) or _AT_FIELD.search(str(error))
    known = ", ".join(field.encode_name for field in msgspec.structs.fields(endpoint.input))
    return InvalidInput(
        f"{error}.",
        field=found.group(1) if found else None,
        hint=f"Possible are: {known}." if known else "Nothing can be given here.",
    )


async def _body(request: Request) -> bytes:
    """All of it. Raises BodyTooLarge as soon as it is known to be."""
    announced = request.headers.get("Content-Length", "")
    size = int(announced) if announced.isascii() and announced.isdigit() else 0
    received = bytearray()
    try:
        if size <= MAX_BODY_BYTES:
            async for chunk in request.stream():
                received += chunk
                if len(received) > MAX_BODY_BYTES:
                    break
    except ClientDisconnect as error:
        raise MalformedBody("The body ended early.") from error
    if max(size, len(received)) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"A request's body has at most {MAX_BODY_BYTES:,} bytes.")
    return bytes(received)
