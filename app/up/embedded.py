"""The embedded engine's components, in the order in which they start."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

from app.adapters.local import traefik as router
from app.settings import Settings
from app.up import database, platform, probe
from app.up.children import ChildSpec
from app.up.ports import Need
from app.up.supervisor import Say


def needs(settings: Settings) -> list[Need]:
    """The ports that must be free."""
    found = [
        Need(settings.api_host, settings.api_port, "the API", "PAAS_API_PORT"),
        Need(settings.ingress_host, settings.ingress_port, "the apps", "PAAS_INGRESS_PORT"),
        Need("127.0.0.1", settings.ingress_api_port, "Traefik's API", "PAAS_INGRESS_API_PORT"),
        Need("127.0.0.1", settings.agent_port, "the agent", "PAAS_AGENT_PORT"),
    ]
    if not settings.database_url:
        found.append(Need("127.0.0.1", settings.postgres_port, "Postgres", "PAAS_POSTGRES_PORT"))
    return found


async def components(settings: Settings, say: Say) -> AsyncIterator[ChildSpec]:
    if not settings.database_url:
        yield await asyncio.to_thread(database.spec, settings, say)
    yield agent(settings)
    yield traefik(settings)
    for spec in platform.processes(settings, {"PAAS_SCHEDULER": "embedded"}):
        yield spec


def agent(settings: Settings) -> ChildSpec:
    """SIGINT has it stop the apps as well; SIGTERM, which clears away a left-over, lets them run on."""

    async def ready() -> bool:
        return await probe.is_ok("127.0.0.1", settings.agent_port, "/traefik.json")

    return ChildSpec(
        name="agent",
        title="Agent",
        argv=platform.program("app.agent"),
        ready=ready,
        detail="runs apps as processes, isolating nothing",
        stop_signal=signal.SIGINT,
        stop_seconds=60,
    )


def traefik(settings: Settings) -> ChildSpec:
    async def ready() -> bool:
        return await probe.is_ok("127.0.0.1", settings.ingress_api_port, "/ping")

    return ChildSpec(
        name="traefik",
        title="Traefik",
        argv=router.command(settings),
        ready=ready,
        detail=f"{settings.ingress_host}:{settings.ingress_port}",
    )
