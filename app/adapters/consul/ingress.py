"""The ``Ingress`` port on Consul and Traefik."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from consul import Check

from app.adapters.consul.client import Consul
from app.adapters.consul.router import Router
from app.ports.ingress import Route
from app.settings import Settings

TAG = "paas"
PLATFORM_TAG = "paas-platform"
_CHECK_SECONDS = 5
_FORGET_AFTER = "10m"
"""Consul drops a replica of the platform that has not answered for so long."""
_ALLOCATION = re.compile(r"^_nomad-(?:task|group)-([0-9a-f-]{36})-")


class ConsulIngress:
    def __init__(self, settings: Settings) -> None:
        self._consul = Consul(settings)
        self._router = Router(settings.traefik_api) if settings.traefik_api else None
        self._registered: dict[str, set[str]] = {}

    async def routes(self, service: str) -> Sequence[Route]:
        return [_route(entry) for entry in await self._health(service)]

    async def serves(self, hostname: str, release_id: str, *, alone: bool = False) -> bool:
        """By what Traefik says, where its API is set; else by the catalog that it reads."""
        release = f"paas.release={release_id}"
        service = await self._service_of(release)
        if service is None:
            return False
        entries = [
            entry
            for entry in await self._health(service)
            if any(f"`{hostname}`" in tag for tag in entry["Service"]["Tags"])
        ]
        ours = {_address(entry) for entry in entries if release in entry["Service"]["Tags"]}
        passing = {_address(entry) for entry in entries if _passes(entry)}
        if not ours & passing:
            return False
        servers = passing if self._router is None else await self._router.servers(hostname)
        return bool(ours & passing & set(servers)) and not (alone and set(servers) - ours)

    async def services(self) -> Sequence[str]:
        held = await self._tags()
        return sorted(name for name, tags in held.items() if TAG in tags)

    async def remove(self, service: str) -> None:
        """Through the agent that holds it when that is ours, else from the catalog: what is left there
        belongs to a node that is gone, or its Nomad would have removed it."""
        ours = await self._consul.call(self._consul.api.agent.services())
        for entry in await self._health(service):
            registration = entry["Service"]["ID"]
            if registration in ours:
                await self._consul.call(self._consul.api.agent.service.deregister(registration))
            else:
                await self._consul.deregister_from_catalog(entry["Node"]["Node"], registration)

    async def register_platform(self, name: str, host: str, port: int) -> None:
        """Each replica under an id of its own, so that one leaving takes no other along."""
        registration = f"{name}-{host}-{port}"
        check = Check.tcp(host, port, f"{_CHECK_SECONDS}s", timeout="2s", deregister=_FORGET_AFTER)
        await self._consul.call(
            self._consul.api.agent.service.register(
                name,
                service_id=registration,
                address=host,
                port=port,
                tags=[PLATFORM_TAG],
                check=check,
            )
        )
        self._registered.setdefault(name, set()).add(registration)

    async def deregister_platform(self, name: str) -> None:
        """What this process registered; of one that registered nothing, all that this node's agent holds."""
        registrations = self._registered.pop(name, None)
        if registrations is None:
            held = await self._consul.call(self._consul.api.agent.services())
            registrations = {
                registration
                for registration, service in held.items()
                if service["Service"] == name and PLATFORM_TAG in (service.get("Tags") or ())
            }
        for registration in registrations:
            await self._consul.call(self._consul.api.agent.service.deregister(registration))

    async def close(self) -> None:
        await self._consul.close()
        if self._router is not None:
            await self._router.close()

    async def _health(self, service: str, **query: Any) -> Sequence[Any]:
        _, entries = await self._consul.call(self._consul.api.health.service(service, **query))
        return entries or ()

    async def _tags(self) -> dict[str, list[str]]:
        """Every service with the tags of all its instances."""
        _, services = await self._consul.call(self._consul.api.catalog.services())
        return services or {}

    async def _service_of(self, tag: str) -> str | None:
        held = await self._tags()
        return next((name for name, tags in held.items() if tag in tags), None)


def _address(entry: Any) -> str:
    service = entry["Service"]
    return f"{service['Address'] or entry['Node']['Address']}:{service['Port']}"


def _passes(entry: Any) -> bool:
    return all(check["Status"] == "passing" for check in entry["Checks"])


def _route(entry: Any) -> Route:
    service = entry["Service"]
    allocation = _ALLOCATION.match(service["ID"])
    return Route(
        service=service["Service"],
        address=_address(entry),
        healthy=_passes(entry),
        allocation_id=allocation[1] if allocation else "",
        node=entry["Node"]["Node"],
        registration_id=service["ID"],
    )
