"""Is it there yet? Small questions to a component, each answered without an exception.

Plain ``http.client`` on purpose: ``paas up`` stays small, and no proxy setting of the shell applies.
"""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import dataclass
from typing import Any

import msgspec

_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    status: int
    """0: nothing answered."""
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def request(
    method: str,
    host: str,
    port: int,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> Answer:
    return await asyncio.to_thread(_request, method, host, port, path, headers or {}, body)


def _request(
    method: str, host: str, port: int, path: str, headers: dict[str, str], body: Any
) -> Answer:
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    payload = None if body is None else msgspec.json.encode(body)
    if payload is not None:
        headers = {"Content-Type": "application/json", **headers}
    try:
        connection.request(method, path, body=payload, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException):
        return Answer(0, b"")
    finally:
        connection.close()


async def is_ok(host: str, port: int, path: str, *, virtual_host: str = "") -> bool:
    """Whether a GET is answered with 200; ``virtual_host`` is sent as the Host header."""
    headers = {"Host": virtual_host} if virtual_host else None
    answer = await request("GET", host, port, path, headers=headers)
    return answer.status == 200
