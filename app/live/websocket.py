"""GraphQL over a WebSocket: ``graphql-transport-ws``, from ``connection_init`` to the last message.

Who connects is known from the handshake (``Authorization``, or a session's cookie from our own page), or
from the payload of ``connection_init``: ``{"Authorization": "Bearer paas_…"}``. Closing codes: 4400 a message
that is none, 4401 no credential or one that is no good, 4403 one that was good and is no longer, 4408 no
``connection_init`` in time, 4429 too many connections; 1009 too large a message, 1012 this server stops.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
    _OperationStreamClosed,
)

from app.access.actor import Actor
from app.access.authenticate import Credential, authenticate_credential
from app.errors import LimitReached, PaasError, Unauthenticated
from app.graphql.context import Context
from app.graphql.errors import INTERNAL_MESSAGE, extensions_of, known_failure
from app.live.caller import Caller
from app.live.doors import Doors

log = logging.getLogger("paas.graphql")

INIT_SECONDS = 10
MAX_OPERATIONS = 100
"""At once, on one socket."""
_CLOSING_SECONDS = 2.0
_REASON_BYTES = 120
_MAX_ID = 200


@dataclass
class Connection(Context):
    """A socket's own context; each operation is given one like it (``for_operation``)."""

    doors: Doors | None = None
    credential: Credential | None = None
    """Of the handshake."""
    connection_params: dict[str, Any] = field(default_factory=dict)
    """Set by Strawberry: the payload of ``connection_init``."""
    inside: ExitStack = field(default_factory=ExitStack)
    """Closed with the socket."""
    admitted: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self) -> None:
        """Raises Unauthenticated or LimitReached."""
        given = _credential_in(self.connection_params)
        if given is not None:
            self.credential, self.actor = given, await self._authenticate(given)
        if self.credential is None or self.actor is None:
            raise Unauthenticated(
                "A socket needs a token: connection_init with"
                ' {"Authorization": "Bearer paas_…"}, or that header.'
            )
        if self.doors is not None:
            self.inside.enter_context(self.doors.of_actor(self.actor))
        self.caller = Caller(self.container, self.credential, self.actor)
        self.admitted.set()

    async def _authenticate(self, credential: Credential) -> Actor:
        return await authenticate_credential(
            credential,
            self.container.database,
            self.container.settings,
            address=self.address,
            request_id=self.request_id,
        )

    def for_operation(self) -> Context:
        assert self.caller is not None
        return Context(self.container, self.caller.actor, self.request_id, caller=self.caller)

    address: str = ""


def _credential_in(payload: dict[str, Any]) -> Credential | None:
    """Raises Unauthenticated for one that cannot be read."""
    for name, value in payload.items():
        if name.lower() not in {"authorization", "token"}:
            continue
        scheme, _, rest = value.partition(" ") if isinstance(value, str) else ("", "", "")
        secret = rest.strip() if scheme.lower() == "bearer" else scheme if not rest else ""
        if not secret:
            raise Unauthenticated('connection_init takes {"Authorization": "Bearer paas_…"}.')
        return Credential("token", secret)
    return None


class Handler(BaseGraphQLTransportWSHandler[Connection, None]):
    """Strawberry's, but whose connections end with their credential and whose messages are checked."""

    async def handle(self) -> None:
        """Until the client leaves or is refused; then nothing of the connection is left."""
        serving = asyncio.ensure_future(self._serve())
        refused = asyncio.ensure_future(self._refusal())
        try:
            await asyncio.wait({serving, refused}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._send_away(4403, refused.result())
        finally:
            serving.cancel()
            refused.cancel()
            await asyncio.wait({serving, refused})
            self.context.inside.close()
        if not serving.cancelled():
            serving.result()

    async def _serve(self) -> None:
        try:
            await super().handle()
        except (RecursionError, UnicodeDecodeError):
            await self.handle_invalid_message("WebSocket message must be valid JSON")

    async def _refusal(self) -> PaasError:
        await self.context.admitted.wait()
        assert self.context.caller is not None
        return await self.context.caller.until_refused()

    async def _send_away(self, code: int, error: PaasError) -> None:
        """Nothing more is sent; a client that does not read is not waited for."""
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        with suppress(TimeoutError, WebSocketDisconnected, RuntimeError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self.websocket.close(code, _reason(error.message))

    async def handle_connection_init(self, message: Any) -> None:
        """As Strawberry does, but the refusal says why, and by its code of what kind it is."""
        try:
            await super().handle_connection_init(message)
        except LimitReached as error:
            await self._send_away(4429, error)
        except Unauthenticated as error:
            await self._send_away(4401, error)

    async def handle_message(self, message: Any) -> None:
        """Strawberry takes a message's shape for granted."""
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            await self.handle_invalid_message("A message is an object with a type")
        elif message["type"] in {"subscribe", "complete"} and not _is_operation(message):
            await self.handle_invalid_message("A message of this type needs an id and a payload")
        else:
            await super().handle_message(message)  # type: ignore[arg-type]

    async def run_operation(self, operation: Operation[Connection, None]) -> None:
        """With a context of its own: what one operation has read is no other's."""
        try:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.context.for_operation(),
                operation_name=operation.operation_name,
            )
            async with aclosing(results):
                await self._send_result_stream(operation, results)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except (_OperationStreamClosed, WebSocketDisconnected):
            return
        except Exception as error:  # noqa: BLE001 - the edge: told to the client, a bug is logged
            failure = self._failure(error)
            with suppress(WebSocketDisconnected, RuntimeError, KeyError):
                await operation.send_initial_errors([failure])

    def _failure(self, error: Exception) -> GraphQLError:
        """What a client is told of an operation that failed outside of its resolvers."""
        if isinstance(error, RecursionError):
            limit = {"code": "LIMIT_REACHED"}
            return GraphQLError("The request is nested too deeply.", extensions=limit)
        known = known_failure(error)
        if known is not None:
            return GraphQLError(known.message, extensions=extensions_of(known))
        request_id = self.context.request_id
        extra = {"request_id": request_id}
        log.error("request %s failed", request_id, exc_info=error, extra=extra)
        hidden = {"code": "INTERNAL", "requestId": request_id}
        return GraphQLError(INTERNAL_MESSAGE, extensions=hidden)


def _is_operation(message: dict[str, Any]) -> bool:
    identifier, payload = message.get("id"), message.get("payload", {})
    if not isinstance(identifier, str) or len(identifier) > _MAX_ID:
        return False
    if message["type"] == "complete":
        return True
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )


def _reason(text: str) -> str:
    """A close frame has room for 123 bytes."""
    return text.encode()[:_REASON_BYTES].decode(errors="ignore")
