"""The simulated engine, outliving the workers: it stays in the test's process, they call it by a socket.

Messages are pickles, one call a connection; only this machine's own test processes speak it.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from app.errors import PaasError
from app.ports.ingress import Ingress
from app.ports.scheduler import Scheduler


@asynccontextmanager
async def served(socket: Path, **targets: object) -> AsyncIterator[None]:
    """Answer calls of ``targets`` by name."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target, method, args, kwargs = pickle.loads(await _receive(reader))
            try:
                reply = ("value", await getattr(targets[target], method)(*args, **kwargs))
            except PaasError as error:
                reply = ("error", error)
            _send(writer, pickle.dumps(reply))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the worker was killed while it waited: that is what these tests are about
        finally:
            writer.close()

    server = await asyncio.start_unix_server(answer, path=str(socket))
    async with server:
        yield


def remote_scheduler(socket: Path) -> Scheduler:
    return cast(Scheduler, _Remote(socket, "scheduler"))


def remote_ingress(socket: Path) -> Ingress:
    return cast(Ingress, _Remote(socket, "ingress"))


class _Remote:
    def __init__(self, socket: Path, target: str) -> None:
        self._socket = socket
        self._target = target

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
            try:
                _send(writer, pickle.dumps((self._target, method, args, kwargs)))
                await writer.drain()
                kind, value = pickle.loads(await _receive(reader))
            finally:
                writer.close()
            if kind == "error":
                raise value
            return value

        return call


def _send(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(len(body).to_bytes(4, "big") + body)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
