"""Copies what a container writes into its copy's files, exactly once, whoever dies in between.

So a container's output is read as a process's is, and is still there when the container is removed. Docker
gives its entries with their times and resumes at a time; several may have the same one, so they are
counted. What was appended after the state was last saved is sent again by Docker, and skipped by its size.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from urllib.parse import urlencode

from app.agent.driver import Exit
from app.agent.http import Endpoint, HTTPFailure, request
from app.agent.records import SpoolRecord
from app.agent.signals import background
from app.agent.store import Store
from app.ports.scheduler import Output

logger = logging.getLogger(__name__)

_STREAMS = {1: Output.STDOUT, 2: Output.STDERR}
"""As the Engine API frames them; 3 is the engine's own word."""
_HEADER_BYTES = 8
_TIME_BYTES = len("2006-01-02T15:04:05.000000000Z")
_AGAIN_SECONDS = 0.5
_LOST = b"[paas] Docker dropped some of this container's output while the engine was away.\n"


class Spool:
    """Begins at once. ``ended``: the container's own end, after which its log does not grow."""

    def __init__(
        self,
        store: Store,
        endpoint: Endpoint,
        api: str,
        copy_id: str,
        container: str,
        ended: asyncio.Future[Exit],
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._api = api
        self._copy_id = copy_id
        self._container = container
        self._ended = ended
        self._task = background(self._run(), f"output of {container[:12]}")

    async def finish(self, seconds: float) -> None:
        """Wait for the last of it, at most so long."""
        await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            last = self._ended.done()
            try:
                await self._copy()
            except (HTTPFailure, OSError) as failure:
                logger.debug("the output of %s is not read just now: %s", self._container, failure)
            if last:
                return
            await asyncio.wait([self._ended], timeout=_AGAIN_SECONDS)

    async def _copy(self) -> None:
        """Until the container ends or Docker hangs up."""
        record = self._resumed()
        skip = {
            stream: self._store.log_path(self._copy_id, stream).stat().st_size
            - record.sizes[stream]
            for stream in Output
        }
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": 1}
        since = f"&since={_since(record.time)}" if record.time else ""
        target = f"{self._api}/containers/{self._container}/logs?{urlencode(query)}{since}"
        async with request(self._endpoint, "GET", target, timeout=None) as response:
            if response.status >= 400:
                await response.read()
                return
            known = record.seen
            async for entries in _batches(response.chunks):
                known = self._take(entries, record, skip, known)
                self._store.save_spool(self._copy_id, record)

    def _resumed(self) -> SpoolRecord:
        record = self._store.spool(self._copy_id)
        if record.container == self._container:
            return record
        paths = {stream: self._store.log_path(self._copy_id, stream) for stream in Output}
        sizes = {str(stream): path.stat().st_size for stream, path in paths.items()}
        record = SpoolRecord(container=self._container, sizes=sizes)
        self._store.save_spool(self._copy_id, record)
        return record

    def _take(
        self,
        entries: list[tuple[Output, str, bytes]],
        record: SpoolRecord,
        skip: dict[Output, int],
        known: int,
    ) -> int:
        """Append what is new of the entries. ``known``: so many more of ``record.time`` are in the files
        already; returns how many are left of those."""
        added: dict[Output, bytearray] = {stream: bytearray() for stream in Output}
        for stream, time, data in entries:
            if known and time == record.time:
                known -= 1
                continue
            if known:
                known = 0
                added[Output.STDERR] += _LOST
            if time != record.time:
                record.time, record.seen = time, 0
            record.seen += 1
            there = min(skip[stream], len(data))
            skip[stream] -= there
            record.sizes[stream] += there
            added[stream] += data[there:]
        for stream, content in added.items():
            if content:
                with self._store.log_path(self._copy_id, stream).open("ab", buffering=0) as file:
                    file.write(content)
                record.sizes[stream] += len(content)
        return known


async def _batches(
    chunks: AsyncIterator[bytes],
) -> AsyncIterator[list[tuple[Output, str, bytes]]]:
    """Whole entries, as they come: stream, time, and text without its time."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        entries, at = [], 0
        while at + _HEADER_BYTES <= len(held):
            length = int.from_bytes(held[at + 4 : at + _HEADER_BYTES], "big")
            begin, end = at + _HEADER_BYTES, at + _HEADER_BYTES + length
            if end > len(held):
                break
            stream = _STREAMS.get(held[at])
            if stream is not None:
                time = bytes(held[begin : begin + _TIME_BYTES]).decode(errors="replace")
                entries.append((stream, time, bytes(held[begin + _TIME_BYTES + 1 : end])))
            at = end
        del held[:at]
        if entries:
            yield entries


def _since(time: str) -> str:
    """Docker's time as it wants it back: seconds and nanoseconds."""
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{int(datetime.fromisoformat(seconds + '+00:00').timestamp())}.{fraction or '0'}"
