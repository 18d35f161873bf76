"""Speaking to ``paas agent`` over its Unix socket: what the local Scheduler and Ingress share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from app import errors
from app.errors import PaasError
from app.ports import scheduler as port
from app.ports.scheduler import SchedulerRejected, SchedulerUnavailable

_SECONDS = 30.0

_KINDS: Mapping[str, type[PaasError]] = {
    kind.__name__: kind
    for kind in (
        port.JobConflict,
        port.SchedulerRejected,
        port.SchedulerUnavailable,
        errors.Conflict,
        errors.ExternalFailure,
    )
}


class _Failure(msgspec.Struct):
    kind: str
    message: str
    hint: str | None = None


class AgentClient:
    """One connection pool, opened at the first call, in whichever event loop makes it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        path: str,
        answer: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        timeout: float | None = _SECONDS,
    ) -> Any:
        """The answer as ``answer``'s type. Raises what the agent raised, or SchedulerUnavailable."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket), limit=0)
            )
        try:
            async with self._session.request(
                method,
                f"http://agent{path}",
                params=query,
                data=None if body is None else msgspec.json.encode(body),
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise SchedulerUnavailable(
                f"The embedded engine isn't running ({self._socket}: {error or 'no answer'}).",
                hint="Start it with `paas up`, or alone with `paas agent`.",
            ) from error
        if response.status >= 400:
            raise _failure(response.status, content)
        return msgspec.json.decode(content, type=answer) if answer is not None else None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _failure(status: int, content: bytes) -> PaasError:
    try:
        failure = msgspec.json.decode(content, type=_Failure)
    except msgspec.MsgspecError:
        words = content[:200].decode(errors="replace")
        return SchedulerUnavailable(f"The embedded engine answered {status}: {words}")
    kind = _KINDS.get(failure.kind, SchedulerRejected)
    return kind(failure.message, hint=failure.hint)
