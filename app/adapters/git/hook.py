"""The proc-receive hook of one push: a shell script that lends this process its standard streams.

The hook writes its process id into a pipe that it and receive-pack inherit from here, and waits for the
end of another. Meanwhile this process opens the hook's own streams by ``/proc``, and talks with git itself:
nothing is copied in between, and all that is started is a shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import BinaryIO

from app.adapters.git.process import CHUNK

SCRIPT = """\
#!/bin/sh
# Lends git's conversation about a push to the platform's process; see app/adapters/git/hook.py.
exec 3<&0 4>&1 5>&2
echo "$$" >"/dev/fd/$PAAS_PUSH_HOOK"
read -r _ <"/dev/fd/$PAAS_PUSH_DONE"
exit 0
"""
"""Its streams under numbers that stay theirs: the shell puts others in their place where it redirects."""


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Streams:
    """What the hook was started with."""

    questions: asyncio.StreamReader
    """Of git."""
    answers: asyncio.StreamWriter
    progress: asyncio.StreamWriter
    """Lines for the client's terminal."""


class Hook:
    """This process's ends of the two pipes, and the hook's ends, which only git may keep open."""

    def __init__(self) -> None:
        started_read, started_write = os.pipe()
        done_read, done_write = os.pipe()
        self._started = os.fdopen(started_read, "rb", 0)
        self._done = os.fdopen(done_write, "wb", 0)
        self.inherited = [started_write, done_read]

    @property
    def variables(self) -> Mapping[str, str]:
        names = ("PAAS_PUSH_HOOK", "PAAS_PUSH_DONE")
        return dict(zip(names, map(str, self.inherited), strict=True))

    def release_inherited(self) -> None:
        """Once git has them, an end of file means that git is gone."""
        while self.inherited:
            os.close(self.inherited.pop())

    def close(self) -> None:
        self.release_inherited()
        self._started.close()
        self._done.close()

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[Streams | None]:
        """Waits for the hook, which ends afterwards; None when git ended without asking it."""
        async with AsyncExitStack() as stack:
            stack.callback(self._done.close)
            yield await self._lent(stack)

    async def _lent(self, stack: AsyncExitStack) -> Streams | None:
        started, transport = await _reader(self._started)
        stack.callback(transport.close)
        process = (await started.readline()).decode().strip()
        if not process:
            return None
        folder = f"/proc/{process}/fd"
        try:
            questions, transport = await _reader(_opened(f"{folder}/3", os.O_RDONLY))
            stack.callback(transport.close)
            answers = await _writer(_opened(f"{folder}/4", os.O_WRONLY))
            stack.callback(answers.close)
            progress = await _writer(_opened(f"{folder}/5", os.O_WRONLY))
            stack.callback(progress.close)
        except OSError as error:
            logger.info("git: the hook %s of a push could not be joined: %s", process, error)
            return None
        return Streams(questions, answers, progress)


def _opened(path: str, flags: int) -> BinaryIO:
    """Raises OSError when git is gone, rather than wait for another to open the pipe's other end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "wb", 0)


async def _reader(pipe: BinaryIO) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    return reader, transport


async def _writer(pipe: BinaryIO) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
