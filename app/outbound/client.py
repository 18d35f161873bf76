"""HTTP requests to what users name: to judged addresses only, once, with limits on time and size."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.errors import ExternalFailure
from app.outbound.guard import AddressRefused, Guard

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

SECONDS = 10.0
"""For all of a request: the name, the connection, the answer's head and as much of its body as is read."""
_CONNECT_SECONDS = 5.0
_READ_BYTES = 16 * 1024
EXCERPT = 1000
"""Characters of an answer that are kept."""


@dataclass(frozen=True)
class Reply:
    status: int
    excerpt: str
    retry_after: str | None = None


class Outbound:
    """A connection is never used twice: whom it leads to was judged for one request."""

    def __init__(self, guard: Guard, *, seconds: float = SECONDS) -> None:
        self.guard = guard
        self._seconds = seconds

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer, whatever its status; redirects are not followed.

        Raises ExternalFailure with the reason when there is none, or the address is refused.
        """
        import aiohttp

        parts = urlsplit(url)
        try:
            self._require_literal(parts.hostname or "", parts.scheme)
            connector = aiohttp.TCPConnector(
                resolver=_resolver(self.guard, parts.scheme), force_close=True, use_dns_cache=False
            )
            timeout = aiohttp.ClientTimeout(total=self._seconds, sock_connect=_CONNECT_SECONDS)
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=timeout,
                    trust_env=False,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                ) as client,
                client.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                read = await _some_of(response.content)
                text = read[: EXCERPT * 4].decode(errors="replace").replace("\0", "\ufffd")
                return Reply(response.status, text[:EXCERPT], response.headers.get("Retry-After"))
        except AddressRefused as error:
            raise ExternalFailure(f"{error}.") from error
        except TimeoutError as error:
            raise ExternalFailure(f"There was no answer within {self._seconds:g} s.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            refused = _cause(error)
            said = str(refused or error) or type(error).__name__
            raise ExternalFailure(f"{said[:500]}.") from error

    def _require_literal(self, host: str, scheme: str) -> None:
        """An address that is spelled out is connected to without asking a resolver."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return
        if not self.guard.permits(host):
            raise AddressRefused(f"{host} is not a public address")
        _require_https(self.guard, [host], scheme)


def _require_https(guard: Guard, addresses: list[str], scheme: str) -> None:
    if scheme != "https" and not all(map(guard.is_allowed, addresses)):
        raise AddressRefused("http:// is only for networks that the operator allows; use https://")


def _resolver(guard: Guard, scheme: str) -> AbstractResolver:
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Judged(AbstractResolver):
        """What it answers is what is connected to."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            addresses = list(await guard.resolve(host, port))
            _require_https(guard, addresses, scheme)
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for address in addresses
            ]

        async def close(self) -> None:
            return

    return Judged()


async def _some_of(content: object) -> bytes:
    read = b""
    async for chunk in content.iter_any():  # type: ignore[attr-defined]
        read += chunk
        if len(read) >= _READ_BYTES:
            break
    return read


def _cause(error: BaseException) -> AddressRefused | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, AddressRefused):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
