"""Speaking to ``paas agent`` over its Unix socket: what the local Scheduler and Ingress share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from app import errors
from app.agent.http import Endpoint, HTTPFailure, request
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
        errors.NotFound,
        errors.ExternalFailure,
    )
}


class _Failure(msgspec.Struct):
    kind: str
    message: str
    hint: str | None = None


class AgentClient:
    """A connection a call, over the agent's own small client: aiohttp would cost each process 9 MB."""

    def __init__(self, socket: Path) -> None:
        self._endpoint = Endpoint(unix=str(socket))

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
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            async with request(
                self._endpoint,
                method,
                target,
                body=b"" if body is None else msgspec.json.encode(body),
                timeout=timeout,
            ) as response:
                content = await response.read()
        except HTTPFailure as error:
            raise self._unavailable(error) from error
        if response.status >= 400:
            raise _failure(response.status, content)
        return msgspec.json.decode(content, type=answer) if answer is not None else None

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer's chunks, for as long as the agent sends them. Raises as ``call`` does."""
        target = f"{path}?{urlencode(query)}"
        try:
            async with request(self._endpoint, "GET", target, timeout=None) as response:
                if response.status >= 400:
                    raise _failure(response.status, await response.read())
                yield response.chunks
        except HTTPFailure as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: HTTPFailure) -> SchedulerUnavailable:
        return SchedulerUnavailable(
            f"The embedded engine isn't running ({self._endpoint.unix}: {error}).",
            hint="Start it with `paas up`, or alone with `paas agent`.",
        )


def _failure(status: int, content: bytes) -> PaasError:
    try:
        failure = msgspec.json.decode(content, type=_Failure)
    except msgspec.MsgspecError:
        words = content[:200].decode(errors="replace")
        return SchedulerUnavailable(f"The embedded engine answered {status}: {words}")
    kind = _KINDS.get(failure.kind, SchedulerRejected)
    return kind(failure.message, hint=failure.hint)
