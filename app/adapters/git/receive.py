"""A push: git checks and stores the objects, this process decides about the refs.

    client ──HTTP──▶ git receive-pack ──▶ proc-receive (a shell script, hook.py)
                          ▲                    │ its standard streams
                          └───── pipes ─── this process

``receive-pack`` stores the objects, then asks the ``proc-receive`` hook about each ref (githooks(5)). If
this process dies, the pipes close, the hook ends without an answer, and git refuses the refs that the
handler had not moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from app.adapters.git.home import GitHome
from app.adapters.git.hook import Hook, Streams
from app.adapters.git.lock import receiving
from app.adapters.git.pktline import FLUSH, packet, read_packet, read_section
from app.adapters.git.process import end, limit_memory, log_failure, pump, spawn, tail
from app.adapters.git.push_head import PushHead, read_head, update_of
from app.adapters.git.shallow import accept_boundary, pretending
from app.errors import InvalidInput
from app.ports.repositories import (
    Arrived,
    ClientGone,
    Exchange,
    ReceivedPush,
    ReceiveHandler,
    RefResult,
    RefUpdate,
)

_KEEP_PACK = ("-c", "receive.unpackLimit=1")
"""By itself git counts objects alone, and compresses few large ones again one by one, for minutes."""
_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Colours and cursor movements: an app's build log must not draw on somebody's terminal."""


class Conversation:
    """What git asks and is answered; also the pushing client's terminal."""

    def __init__(self, streams: Streams, gone: asyncio.Event) -> None:
        self._reader = streams.questions
        self._reply = streams.answers
        self._progress = streams.progress
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
        updates = [update_of(line) for line in await read_section(self._reader)]
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
    arrived: Arrived,
    meanwhile: AbstractAsyncContextManager[None],
) -> None:
    """See Repositories.receive_pack. ``meanwhile`` is entered when git has begun to check."""
    try:
        head = await read_head(exchange.body)
    except ClientGone:
        return
    async with receiving(path) as lock:
        with pretending(path, head.shallow) as boundary, contextlib.closing(Hook()) as hook:
            process = await spawn(
                *(_KEEP_PACK if exchange.large else ()),
                "receive-pack",
                "--stateless-rpc",
                str(path),
                env=home.environment(_version(exchange.protocol), **hook.variables, **boundary),
                pass_fds=(*hook.inherited, lock),
            )
            limit_memory(process)
            hook.release_inherited()
            feeding = asyncio.create_task(_feed(head, exchange.body, process, arrived))
            talking = asyncio.create_task(_converse(hook, exchange.gone, handler, head, path, home))
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


async def _feed(
    head: PushHead, body: AsyncIterator[bytes], process: Process, arrived: Arrived
) -> None:
    """The request into git. When git has ended already, the rest is read and dropped.

    When the client is gone, or its request makes no sense, closing git's input makes it clean up.
    """
    stdin = process.stdin
    assert stdin is not None
    try:
        await _write(stdin, bytes(head.passed_on))
        async for chunk in body:
            await _write(stdin, chunk)
        arrived(head.updates)
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
    hook: Hook,
    gone: asyncio.Event,
    handler: ReceiveHandler,
    head: PushHead,
    path: Path,
    home: GitHome,
) -> None:
    """The hook ends with it, whatever happened."""
    async with hook.streams() as streams:
        if streams is None:
            return
        conversation = Conversation(streams, gone)
        push = await conversation.receive()
        if push is not None:
            results = await _decide(push, handler, head, path, home)
            await conversation.answer(push.updates, results)


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
