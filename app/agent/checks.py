"""Whether a copy answers: one probe, in words."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from app.agent.http import Endpoint, HTTPFailure, request
from app.agent.spec import Check


@dataclass(frozen=True)
class Probe:
    passed: bool
    listening: bool
    message: str = ""


async def probe(check: Check, host: str, port: int, *, behind_proxy: bool) -> Probe:
    """``behind_proxy``: Docker's port proxy accepts connections although nothing listens behind it."""
    if check.kind == "tcp":
        return await _probe_tcp(check, host, port, behind_proxy)
    try:
        async with request(
            Endpoint(host, port),
            check.method,
            check.path,
            headers=[("User-Agent", "paas-health-check"), *check.headers],
            timeout=check.timeout,
        ) as response:
            passed = 200 <= response.status < 300
            words = "" if passed else f"{check.path} answers {response.status}, which is not 2xx"
            return Probe(passed, True, words)
    except HTTPFailure as failure:
        if not failure.connected:
            return Probe(False, False, f"nothing listens on port {port}: {failure}")
        return Probe(False, not behind_proxy, f"{check.path} does not answer: {failure}")


async def _probe_tcp(check: Check, host: str, port: int, behind_proxy: bool) -> Probe:
    try:
        async with asyncio.timeout(check.timeout):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        reason = str(error) or f"no answer within {check.timeout:g} s"
        return Probe(False, False, f"nothing listens on port {port}: {reason}")
    try:
        if behind_proxy and await _hangs_up(reader):
            return Probe(False, False, f"nothing listens on port {port} in the container")
        return Probe(True, True)
    finally:
        writer.close()


async def _hangs_up(reader: asyncio.StreamReader) -> bool:
    """The proxy closes at once when there is nobody behind it; a server waits for a request."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            try:
                return not await reader.read(1)
            except OSError:
                return True
    return False
