"""The Ingress port of the embedded engine: the agent's table, and what Traefik itself has made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from app.adapters.local.agent import AgentClient
from app.adapters.local.scheduler import agent_socket
from app.agent.http import HTTPFailure, get
from app.errors import ExternalFailure
from app.ports.ingress import Route
from app.settings import Settings

_SECONDS = 10.0
_HOST = re.compile(r"Host\(`([^`]*)`\)")


class LocalIngress:
    def __init__(self, settings: Settings) -> None:
        self._agent = AgentClient(agent_socket(settings.home_path))
        self._traefik = f"http://127.0.0.1:{settings.ingress_api_port}"

    async def routes(self, service: str) -> Sequence[Route]:
        routes: list[Route] = await self._agent.call("GET", f"/v1/services/{service}", list[Route])
        return routes

    async def serves(self, hostname: str, release_id: str, *, alone: bool = False) -> bool:
        addresses: list[str] = await self._agent.call(
            "GET", f"/v1/releases/{release_id}", list[str]
        )
        live = {f"http://{address}" for address in addresses}
        if not live:
            return False
        routed: set[str] = set()
        for router in await self._ask("/api/http/routers?per_page=1000&search=" + hostname):
            if hostname in _HOST.findall(router.get("rule", "")):
                service = await self._ask(f"/api/http/services/{router['service']}@http")
                servers = (service.get("loadBalancer") or {}).get("servers") or ()
                routed |= {server["url"] for server in servers}
        return bool(routed & live) and not (alone and routed - live)

    async def services(self) -> Sequence[str]:
        names: list[str] = await self._agent.call("GET", "/v1/services", list[str])
        return names

    async def remove(self, service: str) -> None:
        """Nothing is ever left: the table is made of the agent's own jobs."""

    async def register_platform(self, name: str, host: str, port: int) -> None:
        """Nowhere to register: on one machine the platform's addresses are its settings."""

    async def deregister_platform(self, name: str) -> None:
        """See ``register_platform``."""

    async def close(self) -> None:
        """Nothing is kept open between calls."""

    async def _ask(self, path: str) -> Any:
        """Traefik's API; an empty mapping when there is no such thing."""
        try:
            status, content = await get(self._traefik + path, timeout=_SECONDS)
        except HTTPFailure as error:
            raise self._unreachable(str(error)) from error
        if status == 404:
            return {}
        if status != 200:
            raise self._unreachable(f"status {status}")
        return msgspec.json.decode(content)

    def _unreachable(self, how: str) -> ExternalFailure:
        return ExternalFailure(
            f"Traefik does not answer at {self._traefik}: {how}.",
            hint="`paas up` starts it; its API port is PAAS_INGRESS_API_PORT.",
        )
