"""Traefik's own word on what it routes, from its API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from app.errors import ExternalFailure

_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Router:
    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def servers(self, hostname: str) -> Collection[str]:
        """``host:port`` of every server that requests for the hostname may reach now."""
        routers = await self._get(f"/api/http/routers?per_page=100&search={quote(hostname)}")
        names = {
            f"{router['service']}@{router['provider']}"
            for router in routers or ()
            if router["status"] == "enabled" and f"`{hostname}`" in router["rule"]
        }
        found: set[str] = set()
        for name in names:
            service = await self._get(f"/api/http/services/{quote(name, safe='@')}")
            if service is not None:
                servers = (service.get("loadBalancer") or {}).get("servers") or ()
                found |= {urlsplit(server["url"]).netloc for server in servers}
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get(self, path: str) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.get(self._address + path) as response:
                if response.status == 404:
                    return None
                response.raise_for_status()
                return msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise ExternalFailure(
                f"Traefik's API at {self._address} does not answer: {str(error) or 'timed out'}",
                hint="Check PAAS_TRAEFIK_API; unset it, and Consul's catalog is asked instead.",
            ) from error
