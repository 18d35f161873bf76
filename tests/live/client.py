"""Small clients of both protocols, as strict as a test needs: ``graphql-transport-ws`` and ``graphql-sse``."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

PATIENCE = 30.0
"""Seconds that anything may take before a test fails."""


class Refused(Exception):
    """The operation was answered with an ``error`` message."""


class Socket:
    """One connection. ``subscribe`` yields what comes as ``payload``; several may run at once."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)
        self._queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def init(self, payload: Mapping[str, Any] | None = None) -> None:
        await self.send({"type": "connection_init", "payload": dict(payload or {})})
        async with asyncio.timeout(PATIENCE):
            answer = json.loads(await self.connection.recv())
        assert answer["type"] == "connection_ack", answer
        self._reading = asyncio.create_task(self._read())

    async def send(self, message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                message = json.loads(text)
                if message.get("id") in self._queues:
                    self._queues[message["id"]].put_nowait(message)
        except websockets.ConnectionClosed:
            pass
        for queue in self._queues.values():
            queue.put_nowait({"type": "closed"})

    async def start(self, document: str, **variables: Any) -> str:
        """The operation's id."""
        identifier = str(next(self._ids))
        self._queues[identifier] = asyncio.Queue()
        payload = {"query": document, "variables": variables}
        await self.send({"id": identifier, "type": "subscribe", "payload": payload})
        return identifier

    async def next(self, identifier: str) -> dict[str, Any]:
        """The operation's next message."""
        async with asyncio.timeout(PATIENCE):
            return await self._queues[identifier].get()

    async def subscribe(
        self, document: str, **variables: Any
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Payloads until it completes. Raises Refused, or ConnectionError when the socket closes."""
        identifier = await self.start(document, **variables)
        try:
            while True:
                message = await self.next(identifier)
                match message["type"]:
                    case "next":
                        yield message["payload"]
                    case "complete":
                        return
                    case "error":
                        raise Refused(message["payload"])
                    case _:
                        raise ConnectionError("the socket was closed")
        finally:
            self._queues.pop(identifier, None)
            if self.connection.state is websockets.State.OPEN:
                await self.send({"id": identifier, "type": "complete"})

    async def closed(self) -> tuple[int, str]:
        """Its code and reason, once the server has closed it."""
        async with asyncio.timeout(PATIENCE):
            await self.connection.wait_closed()
        return self.connection.close_code or 0, self.connection.close_reason or ""

    async def close(self) -> None:
        await self.connection.close()
        if self._reading is not None:
            await self._reading


@asynccontextmanager
async def connect(
    url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Socket]:
    """Open and, with a token, acknowledged."""
    sent = dict(headers or {})
    async with websockets.connect(
        url.replace("http", "ws", 1) + "/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers=sent,
        compression=None,
    ) as connection:
        socket = Socket(connection)
        if token is not None:
            await socket.init({"Authorization": f"Bearer {token}"})
        try:
            yield socket
        finally:
            await socket.close()


@asynccontextmanager
async def events(
    url: str, token: str, document: str, **variables: Any
) -> AsyncIterator[AsyncGenerator[tuple[str, Any], None]]:
    """The stream's events as ``(name, data)``."""
    headers = {"Accept": "text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = {"query": document, "variables": variables}
    async with (
        httpx2.AsyncClient(timeout=PATIENCE) as client,
        client.stream("POST", url + "/graphql", json=body, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _parsed(response.aiter_lines())


async def _parsed(lines: AsyncIterator[str]) -> AsyncGenerator[tuple[str, Any], None]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            yield name, json.loads(data) if data else None
