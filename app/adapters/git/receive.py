"""A push: git checks and stores the objects, this process decides about the refs.

    client ──HTTP──▶ git receive-pack ──▶ proc-receive (a shell script) ──pipes──▶ this process

``receive-pack`` stores the objects, then asks the ``proc-receive`` hook about each ref (githooks(5)).
The hook is a shell script that copies between git and three pipes, which it and receive-pack inherit
from here, so that no interpreter is started per push: *request* (git's questions), *reply* (our answers)
and *progress* (lines for the client's terminal). If this process dies, the pipes close, the hook ends
without an answer, and git refuses the refs that the handler had not moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import BinaryIO

from app.adapters.git.home import GitHome
from app.adapters.git.lock import receiving
from app.adapters.git.pktline import FLUSH, packet, read_packet, read_section
from app.adapters.git.process import CHUNK, end, limit_memory, log_failure, pump, spawn, tail
from app.adapters.git.push_head import PushHead, read_head
from app.adapters.git.shallow import accept_boundary, pretending
from app.errors import InvalidInput
from app.ports.repositories import (
    ClientGone,
    Exchange,
    ReceivedPush,
    ReceiveHandler,
    RefResult,
    RefUpdate,
)

_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Colours and cursor movements: an app's build log must not draw on somebody's terminal."""


class Pipes:
    """This process's ends of the three pipes, and the hook's ends, which only git may keep open."""

    def __init__(self) -> None:
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        progress_read, progress_write = os.pipe()
        self.request: BinaryIO = os.fdopen(request_read, "rb", 0)
        self.reply: BinaryIO = os.fdopen(reply_write, "wb", 0)
        self.progress: BinaryIO = os.fdopen(progress_write, "wb", 0)
        self.hooks_ends = [request_write, reply_read, progress_read]

    @property
    def variables(self) -> dict[str, str]:
        names = ("PAAS_PUSH_REQUEST", "PAAS_PUSH_REPLY", "PAAS_PUSH_PROGRESS")
        return dict(zip(names, map(str, self.hooks_ends), strict=True))

    def release_hooks_ends(self) -> None:
        """Once git has inherited them, an end of file means that git is gone."""
        while self.hooks_ends:
            os.close(self.hooks_ends.pop())


class Conversation:
    """Asyncio streams over the pipes; also the pushing client's terminal."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        reply: asyncio.StreamWriter,
        progress: asyncio.StreamWriter,
        gone: asyncio.Event,
    ) -> None:
        self._reader = reader
        self._reply = reply
        self._progress = progress
        self.gone = gone

    async def say(self, line: str) -> None:
        if self.gone.is_set():
            return
        plain = _TERMINAL_SEQUENCE.sub("", line)
        text = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in plain)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._progress.write(text.encode(errors="replace") + b"\n")
            await self._progress.drain()

    async def receive(self) -> ReceivedPush | None:
        """What git asks; None when it ended without asking, because it refused the push itself."""
        try:
            version = await read_packet(self._reader)
            await read_section(self._reader)
        except asyncio.IncompleteReadError:
            return None
        features = (version or b"").partition(b"\0")[2].split()
        shared = [name for name in (b"push-options", b"atomic") if name in features]
        self._reply.write(packet(b"version=1\0" + b" ".join(shared) + b"\n") + FLUSH)
        await self._reply.drain()
        updates = [_update(line) for line in await read_section(self._reader)]
        options = await read_section(self._reader) if b"push-options" in shared else []
        return ReceivedPush(
            updates=updates,
            options=dict(_option(line) for line in options),
            atomic=b"atomic" in shared,
            client=self,
        )

    async def answer(self, updates: Sequence[RefUpdate], results: Sequence[RefResult]) -> None:
        errors = {result.ref: result.error for result in results}
        for update in updates:
            error = errors.get(update.ref, "the platform gave no answer for it")
            line = f"ok {update.ref}" if error is None else f"ng {update.ref} {_one_line(error)}"
            self._reply.write(packet(line.encode(errors="surrogateescape") + b"\n"))
        self._reply.write(FLUSH)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await self._reply.drain()

    def close(self) -> None:
        self._reply.close()
        self._progress.close()


def _update(line: bytes) -> RefUpdate:
    old, new, ref = line.decode(errors="surrogateescape").split(" ", 2)
    return RefUpdate(ref=ref, old=old, new=new)


def _option(line: bytes) -> tuple[str, str]:
    key, _, value = line.decode(errors="replace").partition("=")
    return key, value


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]


async def receive_pack(
    path: Path,
    home: GitHome,
    exchange: Exchange,
    handler: ReceiveHandler,
    *,
    meanwhile: AbstractAsyncContextManager[None],
) -> None:
    """See Repositories.receive_pack. ``meanwhile`` is entered when git has begun to check."""
    try:
        head = await read_head(exchange.body)
    except ClientGone:
        return
    async with receiving(path) as lock, _conversing(exchange.gone) as (conversation, pipes):
        with pretending(path, head.shallow) as boundary:
            process = await spawn(
                "receive-pack",
                "--stateless-rpc",
                str(path),
                env=home.environment(_version(exchange.protocol), **pipes.variables, **boundary),
                pass_fds=(*pipes.hooks_ends, lock),
            )
            limit_memory(process)
            pipes.release_hooks_ends()
            feeding = asyncio.create_task(_feed(head, exchange.body, process))
            talking = asyncio.create_task(_converse(conversation, handler, head, path, home))
            complaining = asyncio.create_task(tail(process))
            try:
                async with meanwhile:
                    await pump(process, exchange)
                    await process.wait()
                    await talking
                await feeding
                log_failure(process, path, await complaining)
            finally:
                for task in (feeding, talking, complaining):
                    task.cancel()
                await asyncio.gather(feeding, talking, complaining, return_exceptions=True)
                await end(process)


def _version(protocol: str) -> str:
    """Pushing has no version 2; git ignores it, and so do we."""
    return "" if "version=2" in protocol else protocol


async def _feed(head: PushHead, body: AsyncIterator[bytes], process: Process) -> None:
    """The request into git. When git has ended already, the rest is read and dropped.

    When the client is gone, or its request makes no sense, closing git's input makes it clean up.
    """
    stdin = process.stdin
    assert stdin is not None
    try:
        await _write(stdin, bytes(head.passed_on))
        async for chunk in body:
            await _write(stdin, chunk)
    except ClientGone:
        return
    finally:
        stdin.close()


async def _write(stdin: asyncio.StreamWriter, chunk: bytes) -> None:
    if stdin.is_closing():
        return
    try:
        stdin.write(chunk)
        await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        stdin.close()


async def _converse(
    conversation: Conversation,
    handler: ReceiveHandler,
    head: PushHead,
    path: Path,
    home: GitHome,
) -> None:
    """Closing at the end, whatever happened, is what lets the hook end."""
    try:
        push = await conversation.receive()
        if push is not None:
            results = await _decide(push, handler, head, path, home)
            await conversation.answer(push.updates, results)
    finally:
        conversation.close()


async def _decide(
    push: ReceivedPush, handler: ReceiveHandler, head: PushHead, path: Path, home: GitHome
) -> Sequence[RefResult]:
    if head.shallow:
        tips = [update.new for update in push.updates if not update.deletes]
        try:
            await accept_boundary(path, head.shallow, tips, home.environment())
        except InvalidInput as error:
            return [RefResult(update.ref, error.message) for update in push.updates]
    return await handler(push)


@contextlib.asynccontextmanager
async def _conversing(gone: asyncio.Event) -> AsyncIterator[tuple[Conversation, Pipes]]:
    pipes = Pipes()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipes.request
    )
    reply = await _writer(pipes.reply)
    progress = await _writer(pipes.progress)
    try:
        yield Conversation(reader, reply, progress, gone), pipes
    finally:
        pipes.release_hooks_ends()
        transport.close()
        reply.close()
        progress.close()


async def _writer(pipe: BinaryIO) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
