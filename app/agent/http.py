"""A small HTTP/1.1 client over h11: loopback checks, slug downloads, Traefik's and Docker's APIs.

aiohttp would double this daemon's memory for a handful of GETs. One connection a request; TCP, TLS or a
Unix socket. Redirects are not followed: nothing here is asked that may answer one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11

_CHUNK = 256 * 1024
_LARGEST_BODY = 64 * 1024 * 1024

Headers = Sequence[tuple[str, str]]


class HTTPFailure(Exception):
    """No usable answer: refused, cut off, too slow, or not HTTP. The message says which.

    ``connected`` tells whether anything accepted the connection at all.
    """

    def __init__(self, message: str, *, connected: bool) -> None:
        super().__init__(message)
        self.connected = connected


@dataclass(frozen=True)
class Endpoint:
    """Where to connect: ``host`` and ``port``, or a Unix socket's path."""

    host: str = ""
    port: int = 0
    tls: bool = False
    unix: str = ""

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}" if self.host else "localhost"


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    chunks: AsyncIterator[bytes] = field(repr=False)

    async def read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks:
            size += len(chunk)
            if size > _LARGEST_BODY:
                raise HTTPFailure("the answer is too large", connected=True)
            parts.append(chunk)
        return b"".join(parts)


@asynccontextmanager
async def request(
    endpoint: Endpoint,
    method: str,
    target: str,
    *,
    headers: Headers = (),
    body: bytes = b"",
    timeout: float | None = 30.0,
) -> AsyncIterator[Response]:
    """One exchange; ``timeout`` seconds for all of it, reading included. Raises HTTPFailure."""
    connected = False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(endpoint)
            connected = True
            try:
                yield await _exchange(endpoint, method, target, headers, body, reader, writer)
            finally:
                writer.close()
    except TimeoutError as error:
        raise HTTPFailure(f"no answer within {timeout:g} s", connected=connected) from error
    except (OSError, asyncio.IncompleteReadError) as error:
        raise HTTPFailure(str(error) or type(error).__name__, connected=connected) from error
    except h11.RemoteProtocolError as error:
        raise HTTPFailure(f"not a valid HTTP answer: {error}", connected=True) from error


async def get(url: str, *, headers: Headers = (), timeout: float = 30.0) -> tuple[int, bytes]:
    """Status and whole body of an ``http://`` or ``https://`` URL."""
    endpoint, target = locate(url)
    async with request(endpoint, "GET", target, headers=headers, timeout=timeout) as response:
        return response.status, await response.read()


def locate(url: str) -> tuple[Endpoint, str]:
    """A URL as the endpoint to connect to and the request target. Raises HTTPFailure."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise HTTPFailure(f"not an http(s) URL: {url[:80]}", connected=False)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(parts.hostname, port, tls), target


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if endpoint.unix:
        return await asyncio.open_unix_connection(endpoint.unix)
    context = ssl.create_default_context() if endpoint.tls else None
    return await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)


async def _exchange(
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Headers,
    body: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> Response:
    connection = h11.Connection(h11.CLIENT)
    sent = [("Host", endpoint.authority), ("Connection", "close"), *headers]
    if body or method in {"POST", "PUT"}:
        sent.append(("Content-Length", str(len(body))))
    writer.write(connection.send(h11.Request(method=method, target=target, headers=sent)) or b"")
    if body:
        writer.write(connection.send(h11.Data(data=body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    while True:
        event = await _next_event(connection, reader)
        if isinstance(event, h11.Response):
            names = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            return Response(event.status_code, names, _body(connection, reader))


async def _body(connection: h11.Connection, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        event = await _next_event(connection, reader)
        if isinstance(event, h11.Data):
            yield bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return


async def _next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(_CHUNK))
    return event
