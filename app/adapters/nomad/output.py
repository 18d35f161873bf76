"""What an allocation writes, as Nomad streams it: files that it rotates, in frames of JSON.

A position is a file's number and an offset in it. Nomad opens at an offset of the *oldest* file that it still
has, so a position in the first file is asked for directly, and one in a later file is found by reading from
the oldest on and dropping what comes before: Nomad keeps three files of 10 MB (``jobs/render.py``).
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from app.adapters.nomad.gateway import Gateway
from app.ports.scheduler import (
    JobRef,
    Output,
    OutputChunk,
    OutputGone,
    SchedulerUnavailable,
)

_NOT_YET_SECONDS = 0.5
_WAITING_CHUNKS = 4
"""Of both streams together: a reader that is slow slows Nomad down, not us."""


class _Frame(msgspec.Struct, rename="pascal"):
    data: str = ""
    file: str = ""
    file_event: str = ""


@dataclass(frozen=True, order=True)
class _Place:
    file: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"

    @classmethod
    def parse(cls, position: str) -> _Place:
        if not position:
            return cls()
        file, _, offset = position.partition(":")
        return cls(int(file), int(offset))


async def follow(
    gateway: Gateway,
    ref: JobRef,
    allocation_id: str,
    positions: Mapping[Output, str],
    *,
    live: bool,
) -> AsyncGenerator[OutputChunk, None]:
    """See ``Scheduler.follow_output``."""
    task = await _task_of(gateway, ref, allocation_id, live=live)
    if not task:
        return
    chunks: asyncio.Queue[OutputChunk | Exception | None] = asyncio.Queue(_WAITING_CHUNKS)

    async def pump(stream: Output) -> None:
        reader = _Reader(gateway, ref, allocation_id, task, stream, live=live)
        try:
            async for chunk in reader.chunks(_Place.parse(positions.get(stream, ""))):
                await chunks.put(chunk)
        except (SchedulerUnavailable, OutputGone) as error:
            await chunks.put(error)
        else:
            broken = SchedulerUnavailable(f"Nomad broke the log of {ref} off.")
            await chunks.put(broken if live else None)

    pumps = [asyncio.create_task(pump(stream), name=f"{stream} {ref}") for stream in Output]
    try:
        left = len(pumps)
        while left:
            chunk = await chunks.get()
            if isinstance(chunk, Exception):
                raise chunk
            if chunk is None:
                left -= 1
            else:
                yield chunk
    finally:
        for each in pumps:
            each.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _task_of(gateway: Gateway, ref: JobRef, allocation_id: str, *, live: bool) -> str:
    """Its one task, once it was started: before, Nomad has no log to speak of. Empty: it never was."""
    query = {"namespace": ref.namespace}
    while True:
        found = await gateway.get("allocation", allocation_id, params=query)
        if found is None or found.value["JobID"] != ref.id:
            raise OutputGone(f"Nomad has no allocation {allocation_id} of {ref}.")
        for name, state in (found.value.get("TaskStates") or {}).items():
            if state.get("StartedAt"):
                return str(name)
        if not live or found.value["ClientStatus"] not in {"pending", "running"}:
            return ""
        await gateway.get(
            "allocation", allocation_id, params=query, index=found.index or 1, wait=60
        )


class _Reader:
    """One stream of one allocation."""

    def __init__(
        self,
        gateway: Gateway,
        ref: JobRef,
        allocation_id: str,
        task: str,
        stream: Output,
        *,
        live: bool,
    ) -> None:
        self._gateway = gateway
        self._allocation_id = allocation_id
        self._stream = stream
        self._params = {
            "namespace": ref.namespace,
            "task": task,
            "type": str(stream),
            "origin": "start",
            "follow": "true" if live else "false",
        }
        self._live = live

    async def chunks(self, wanted: _Place) -> AsyncGenerator[OutputChunk, None]:
        directly = wanted.file == 0
        async with contextlib.aclosing(self._from(wanted, directly=directly)) as found:
            async for chunk in found:
                if chunk is not None:
                    yield chunk
                    continue
                break
            else:
                return
        async with contextlib.aclosing(self._from(wanted, directly=False)) as found:
            async for chunk in found:
                if chunk is not None:
                    yield chunk

    async def _from(
        self, wanted: _Place, *, directly: bool
    ) -> AsyncGenerator[OutputChunk | None, None]:
        """None: Nomad's oldest file is not the first any more, so where it began is not known."""
        at: _Place | None = None
        lost = False
        offset = wanted.offset if directly else 0
        async for frame in self._frames(offset):
            number = int(frame.file.rpartition(".")[2])
            if at is None:
                if directly and offset and number:
                    yield None
                    return
                at = _Place(number, offset)
                lost = at > wanted
            elif number != at.file:
                lost = lost or number > at.file + 1
                at = _Place(number, 0)
            if frame.file_event == "file truncated":
                at, lost = _Place(number, 0), True
            data = binascii.a2b_base64(frame.data)
            begin, at = at, _Place(at.file, at.offset + len(data))
            if at <= wanted and not lost:
                continue
            if begin < wanted and begin.file == wanted.file and not lost:
                data = data[wanted.offset - begin.offset :]
            if data:
                yield OutputChunk(self._stream, data, str(at), lost)
                lost = False

    async def _frames(self, offset: int) -> AsyncIterator[_Frame]:
        params = {**self._params, "offset": str(offset)}
        while True:
            held = bytearray()
            missing = False
            async with self._gateway.stream(
                "client", "fs", "logs", self._allocation_id, params=params
            ) as parts:
                if parts is None:
                    missing = True
                else:
                    async for part in parts:
                        held += part
                        *whole, rest = bytes(held).split(b"}")
                        held = bytearray(rest)
                        for text in whole:
                            frame = _decoded(text + b"}")
                            if frame.file:
                                yield frame
            if not missing or not self._live:
                return
            await asyncio.sleep(_NOT_YET_SECONDS)
            if await self._is_gone():
                raise OutputGone(f"Nomad has no log of {self._allocation_id} any more.")

    async def _is_gone(self) -> bool:
        query = {"namespace": self._params["namespace"]}
        found = await self._gateway.get("allocation", self._allocation_id, params=query)
        return found is None or found.value["ClientStatus"] not in {"pending", "running"}


def _decoded(text: bytes) -> _Frame:
    """A frame is flat, and base64 has no brace: its first closing one ends it."""
    try:
        return msgspec.json.decode(text.strip(), type=_Frame)
    except msgspec.DecodeError as error:
        words: Any = text[:200]
        raise SchedulerUnavailable(f"Nomad broke a log off: {words!r}") from error
