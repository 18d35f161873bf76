"""What a client without a token may make the API keep in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import repeat

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.http.protocol import MAX_HEAD_BYTES
from app.main import server_config
from app.settings import Settings
from tests.conftest import free_port

MEGABYTE = 1024**2
_PIECES = 64
"""Of a megabyte: more than the sockets of both sides hold."""


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body."""
    size = 0
    async for chunk in Request(scope, receive).stream():
        size += len(chunk)
    await PlainTextResponse(str(size))(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    port = free_port()
    server = uvicorn.Server(server_config(Settings(api_port=port), count))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await task


async def sent_until_refused(port: int, start: bytes, pieces: Iterator[bytes]) -> tuple[int, bytes]:
    """How many pieces were taken, and the answer's first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    taken = 0
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            taken += 1
    except ConnectionError:
        return taken, b""
    answer = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return taken, answer


HEAD = b"POST / HTTP/1.1\r\nHost: paas\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /", b"a" * MEGABYTE),
        (HEAD + b"X-Long: ", b"a" * MEGABYTE),
        (HEAD, b"X-Many: 1\r\n" * (MEGABYTE // 11)),
        (CHUNKED + b"X-Trailer: ", b"a" * MEGABYTE),
        (CHUNKED, b"X-Trailers: 1\r\n" * (MEGABYTE // 15)),
    ],
    ids=["path", "one header", "many headers", "one trailer", "many trailers"],
)
async def test_an_endless_head_is_cut_off(port: int, start: bytes, piece: bytes) -> None:
    taken, _ = await sent_until_refused(port, start, repeat(piece, _PIECES))
    assert taken < _PIECES


async def test_a_head_that_fits_and_a_body_of_any_size_are_taken(port: int) -> None:
    header = b"X-Long: " + b"a" * (MAX_HEAD_BYTES - 1000) + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % (4 * MEGABYTE)
    pieces = repeat(b"b" * MEGABYTE, 4)
    assert await sent_until_refused(port, HEAD + header + length, pieces) == (
        4,
        b"HTTP/1.1 200 OK\r\n",
    )


async def test_requests_on_one_connection_are_not_added_up(port: int) -> None:
    header = b"X-Long: " + b"a" * (MAX_HEAD_BYTES // 2) + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):
        writer.write(HEAD + header + b"Content-Length: 1\r\n\r\nb")
        assert (await reader.readuntil(b"\r\n\r\n1")).startswith(b"HTTP/1.1 200")
    writer.close()
