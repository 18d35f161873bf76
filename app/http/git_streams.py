"""The streams of one git request: its body as git wants it, and its answer as the client takes it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.types import Receive, Send

from app.errors import InvalidInput
from app.ports.repositories import ClientGone

_CHUNK = 64 * 1024
_NO_CACHE = [
    (b"cache-control", b"no-cache, max-age=0, must-revalidate"),
    (b"expires", b"Fri, 01 Jan 1980 00:00:00 GMT"),
    (b"pragma", b"no-cache"),
]


class Requests:
    """The client's side of the request. One task at a time may read it."""

    def __init__(self, receive: Receive, *, gzipped: bool, max_bytes: int) -> None:
        self._receive = receive
        self._gzipped = gzipped
        self._max_bytes = max_bytes
        self._complete = asyncio.Event()
        self.gone = asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        """Chunks, decompressed. Raises ClientGone at a hang-up, InvalidInput past the size limit."""
        size = 0
        async for chunk in self._inflated() if self._gzipped else self._received():
            size += len(chunk)
            if size > self._max_bytes:
                self.gone.set()
                raise InvalidInput(
                    f"The request is larger than {self._max_bytes // 1024**2} MB.",
                    hint="Push or fetch less at a time, or raise PAAS_PUSH_MAX_MB.",
                )
            yield chunk

    async def _received(self) -> AsyncIterator[bytes]:
        while not self._complete.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                raise ClientGone
            if not message.get("more_body", False):
                self._complete.set()
            if message.get("body"):
                yield message["body"]

    async def _inflated(self) -> AsyncIterator[bytes]:
        """Never more than a chunk in memory, however far the body would unfold."""
        inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            async for received in self._received():
                rest = received
                while rest and not inflate.eof:
                    yield inflate.decompress(rest, _CHUNK)
                    rest = inflate.unconsumed_tail
            if not inflate.eof:
                raise InvalidInput("The compressed request ends early.")
        except zlib.error as error:
            raise InvalidInput("The request says that it is gzip, and is not.") from error

    async def watch(self) -> None:
        """Once the body was read, notice the hang-up. Runs beside the answer; cancel it at its end."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


class Answer:
    """The response; started by its first bytes, so that a failure before them has a status of its own."""

    def __init__(self, send: Send, content_type: str) -> None:
        self._send = send
        self._content_type = content_type
        self.started = False

    async def write(self, chunk: bytes) -> None:
        await self._start()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        await self._start()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self) -> None:
        if self.started:
            return
        self.started = True
        headers = [(b"content-type", self._content_type.encode()), *_NO_CACHE]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})


async def refuse(send: Send, status: int, text: str, *, challenge: bool = False) -> None:
    """git shows a plain-text body to the person, each line behind ``remote:``."""
    body = text.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *_NO_CACHE,
    ]
    if challenge:
        headers.append((b"www-authenticate", b'Basic realm="paas: the password is an API token"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
