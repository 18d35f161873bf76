"""A thin async HTTP gateway to Nomad, for what python-nomad cannot do.

That is: blocking queries (it drops their indexes), plans, compare-and-set registration, logs as plain
text. Every failure leaves here as one of the Scheduler port's errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from app.adapters.nomad.connection import Connection
from app.ports.scheduler import JobConflict, SchedulerRejected, SchedulerUnavailable

POLICY_HINT = (
    "Check the platform's token: `nomad acl policy apply paas nomad/acl/platform-policy.hcl`, then "
    "`nomad acl token create -name=paas -policy=paas`, and put its secret in PAAS_NOMAD_TOKEN."
)
_CONFLICT = "Enforcing job modify index"
_PERMANENT = ("error occurred", "errors occurred", "nonexistent namespace", "alidation failed")
"""Parts of a 500's text by which Nomad refuses a job for good; any other 500 is its own trouble."""
_CONNECTIONS = 64
_QUIET_SECONDS = 60.0
"""A stream without so much as a heartbeat for so long is broken; Nomad sends one every ten seconds."""


class Answer:
    """A response's JSON and the index to wait on for the next change."""

    __slots__ = ("index", "value")

    def __init__(self, value: Any, index: int) -> None:
        self.value = value
        self.index = index


class Gateway:
    def __init__(self, connection: Connection, *, timeout: float = 10.0) -> None:
        self._connection = connection
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def get(
        self,
        *path: str,
        params: Mapping[str, str] | None = None,
        index: int = 0,
        wait: float = 0.0,
    ) -> Answer | None:
        """The answer, or None for 404. With ``index``, held back until it changed or ``wait`` seconds passed."""
        query = dict(params or {})
        timeout = self._timeout
        if index:
            query |= {"index": str(index), "wait": f"{max(1, int(wait * 1000))}ms"}
            timeout += wait * 1.1  # Nomad adds up to a sixteenth
        status, body, headers = await self._call("GET", path, query, None, timeout)
        if status == 404:
            return None
        _raise_for(status, body)
        return Answer(_json(body), int(headers.get("X-Nomad-Index", "0") or 0))

    async def text(self, *path: str, params: Mapping[str, str]) -> str | None:
        """A body as text; None when there is no such thing (any more)."""
        status, body, _ = await self._call("GET", path, params, None, self._timeout)
        if status == 404 or _is_unknown(body):
            return None
        _raise_for(status, body)
        return body

    @asynccontextmanager
    async def stream(
        self, *path: str, params: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """A body's pieces, for as long as Nomad sends them; None when there is no such thing (any more).

        Over connections of their own, as many as are asked for: these last.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=_QUIET_SECONDS)
        if self._streams is None or self._streams.closed:
            self._streams = self._new_session(0)
        try:
            async with self._streams.get(
                self._url(path), params=params, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status >= 400:
                    body = await response.text(errors="replace")
                    if response.status != 404 and not _is_unknown(body):
                        _raise_for(response.status, body)
                    yield None
                else:
                    yield response.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unavailable(error) from error

    async def post(self, *path: str, params: Mapping[str, str], json: Any) -> Any:
        """Raises JobConflict when a guard of ours did not hold."""
        status, body, _ = await self._call("POST", path, params, json, self._timeout)
        _raise_for(status, body)
        return _json(body)

    async def close(self) -> None:
        for session in (self._session, self._streams):
            if session is not None:
                await session.close()
        self._session = self._streams = None

    async def _call(
        self,
        method: str,
        path: tuple[str, ...],
        params: Mapping[str, str],
        json: Any,
        timeout: float,
    ) -> tuple[int, str, Mapping[str, str]]:
        try:
            async with self._opened().request(
                method,
                self._url(path),
                params=params,
                json=json,
                timeout=aiohttp.ClientTimeout(total=timeout, connect=self._timeout),
                allow_redirects=False,
            ) as response:
                return response.status, await response.text(errors="replace"), response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unavailable(error) from error

    def _url(self, path: tuple[str, ...]) -> str:
        return "/".join([self._connection.address, "v1", *(quote(part, safe="") for part in path)])

    def _unavailable(self, error: Exception) -> SchedulerUnavailable:
        return SchedulerUnavailable(
            f"Nomad at {self._connection.address} does not answer: {str(error) or 'timed out'}",
            hint="Check that it runs (`nomad server members`) and that PAAS_NOMAD_ADDR is right.",
        )

    def _opened(self) -> aiohttp.ClientSession:
        """Made at first use, since a session belongs to the running loop."""
        if self._session is None or self._session.closed:
            self._session = self._new_session(_CONNECTIONS)
        return self._session

    def _new_session(self, connections: int) -> aiohttp.ClientSession:
        """``connections`` at most; 0: any number."""
        tls = self._connection.ssl_context()
        connector = aiohttp.TCPConnector(limit=connections, ssl=True if tls is None else tls)
        token = self._connection.token
        headers = {"X-Nomad-Token": token} if token else {}
        return aiohttp.ClientSession(connector=connector, headers=headers)


async def first_of(*queries: asyncio.Task[Answer | None]) -> None:
    """Until one of the blocking queries is answered; the others are given up."""
    try:
        done, _ = await asyncio.wait(queries, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for query in queries:
            query.cancel()
        await asyncio.gather(*queries, return_exceptions=True)
    for query in done:
        query.result()


def _is_unknown(body: str) -> bool:
    return "nknown allocation" in body or "No logs available" in body or "log entry for" in body


def _raise_for(status: int, body: str) -> None:
    if status < 300:
        return
    text = body.strip()[:500] or f"HTTP {status}"
    if text.startswith(_CONFLICT):
        raise JobConflict(
            f"The job was changed by someone else meanwhile: {text}", hint="Observe and plan again."
        )
    if status in {401, 403}:
        raise SchedulerRejected(f"Nomad does not allow this: {text}", hint=POLICY_HINT)
    if 400 <= status < 500 and status != 429:
        raise SchedulerRejected(f"Nomad refuses this: {text}")
    if any(part in text for part in _PERMANENT):
        raise SchedulerRejected(f"Nomad refuses this: {text}")
    raise SchedulerUnavailable(f"Nomad failed: {text}", hint="See its log: `nomad monitor`.")


def _json(body: str) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError as error:
        raise SchedulerUnavailable(f"Nomad answered what is no JSON: {body[:200]!r}") from error
