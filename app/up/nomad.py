"""Nomad's components on one machine: Consul, Docker, a registry, Nomad with ACLs on, Traefik.

Where ``NOMAD_ADDR`` is set, that Nomad (and the Consul of ``CONSUL_HTTP_ADDR``) is used, and only what is
ours is started. The platform is given the token that the documented policy allows, as in production.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from app.adapters.local.traefik import binary as traefik_binary
from app.engines import install, nomad_access, services
from app.engines.nomad_access import Access
from app.engines.services import ConsulPorts, NomadOptions, NomadPorts, ServiceSpec, TraefikPorts
from app.errors import ExternalFailure
from app.settings import Settings
from app.up import database, embedded, platform
from app.up.children import ChildSpec
from app.up.ports import Need
from app.up.supervisor import Say

_DOCKER_SOCKET = Path("/var/run/docker.sock")
_LOOPBACK = "127.0.0.1"


def needs(settings: Settings) -> list[Need]:
    found = [need for need in embedded.needs(settings) if need.setting != "PAAS_AGENT_PORT"]
    if not settings.nomad_addr:
        for title, port, setting in (
            ("Nomad", settings.nomad_port, "PAAS_NOMAD_PORT"),
            ("Consul", settings.consul_port, "PAAS_CONSUL_PORT"),
        ):
            found += [Need(_LOOPBACK, port + offset, title, setting) for offset in range(3)]
    if not settings.registry:
        port = settings.registry_port
        found.append(Need(_LOOPBACK, port, "the image registry", "PAAS_REGISTRY_PORT"))
    return found


async def components(settings: Settings, say: Say) -> AsyncIterator[ChildSpec]:
    if not settings.database_url:
        yield await asyncio.to_thread(database.spec, settings, say)
    told = {"PAAS_SCHEDULER": "nomad"}
    async for spec in _docker(settings, say, told):
        yield spec
    if settings.nomad_addr:
        say(f"Using Nomad at {settings.nomad_addr}")
    else:
        async for spec in _engine(settings, told):
            yield spec
    yield _traefik(settings, told)
    for spec in platform.processes(settings, told):
        yield spec
    if not settings.nomad_addr:
        await nomad_access.resume(_access(settings))


async def _docker(settings: Settings, say: Say, told: dict[str, str]) -> AsyncIterator[ChildSpec]:
    """The machine's Docker, or one of ours; and a registry for what is built. ``told`` is added to."""
    if not await _docker_answers():
        if os.geteuid() != 0 or shutil.which("dockerd") is None:
            say(
                "No Docker answers: apps with a Dockerfile cannot be built (apt-get install docker.io)"
            )
            return
        socket = settings.home_path / "docker.sock"
        yield _child(services.dockerd(settings.home_path, socket), "Docker", f"unix://{socket}")
        told["DOCKER_HOST"] = f"unix://{socket}"
    if settings.registry:
        return
    if shutil.which("docker-registry") is None:
        say("No image registry: Dockerfile apps cannot be run (apt-get install docker-registry)")
        return
    address = f"{_LOOPBACK}:{settings.registry_port}"
    yield _child(services.registry(settings.home_path, settings.registry_port), "Registry", address)
    told["PAAS_REGISTRY"] = address


async def _docker_answers() -> bool:
    client = shutil.which("docker", path="/usr/bin") or "docker"
    host = os.environ.get("DOCKER_HOST") or f"unix://{_DOCKER_SOCKET}"
    return await services.succeeds(client, "-H", host, "version")


async def _engine(settings: Settings, told: dict[str, str]) -> AsyncIterator[ChildSpec]:
    """Consul and Nomad. The generator goes on when Nomad answers: its ACLs are set up then."""
    home = settings.home_path
    port = settings.consul_port
    consul_address = f"{_LOOPBACK}:{port}"
    consul = services.consul(_found("consul"), home, ConsulPorts(port, port + 2, port + 1))
    yield _child(consul, "Consul", f"http://{consul_address}/ui")
    port = settings.nomad_port
    options = NomadOptions(
        consul_address=consul_address,
        ports=NomadPorts(port, port + 1, port + 2),
        raw_exec=os.geteuid() != 0,
        docker_socket=told.get("DOCKER_HOST", ""),
    )
    address = f"http://{_LOOPBACK}:{port}"
    nomad = services.nomad(_found("nomad"), home, options)
    yield _child(replace(nomad, before_stop=lambda: _rest(settings)), "Nomad", f"{address}/ui")
    access = await nomad_access.prepare(address, home)
    told |= {
        "NOMAD_ADDR": address,
        "PAAS_NOMAD_TOKEN_FILE": str(access.platform_token_file),
        "PAAS_NOMAD_NAMESPACE_TOKEN_FILE": str(access.management_token_file),
        "PAAS_NOMAD_SLUG_DRIVER": "raw_exec" if options.raw_exec else settings.nomad_slug_driver,
        "PAAS_NOMAD_SLUG_VOLUME": services.RUNTIME_VOLUME,
        "CONSUL_HTTP_ADDR": f"http://{consul_address}",
    }


async def _rest(settings: Settings) -> None:
    """Stop the apps: Nomad alone would leave them running behind it."""
    await nomad_access.drain(_access(settings), settings.home_path / "nomad" / "data")


def _access(settings: Settings) -> Access:
    folder = settings.home_path / "nomad"
    address = f"http://{_LOOPBACK}:{settings.nomad_port}"
    return Access(address, folder / "management.token", folder / "platform.token")


def _traefik(settings: Settings, told: dict[str, str]) -> ChildSpec:
    consul = told.get("CONSUL_HTTP_ADDR") or settings.consul_addr or "127.0.0.1:8500"
    told["PAAS_TRAEFIK_API"] = f"http://{_LOOPBACK}:{settings.ingress_api_port}"
    spec = services.traefik(
        Path(traefik_binary()),
        consul.removeprefix("http://"),
        TraefikPorts(settings.ingress_port, settings.ingress_api_port),
        host=settings.ingress_host,
    )
    return _child(spec, "Traefik", f"{settings.ingress_host}:{settings.ingress_port}")


def _found(name: str) -> Path:
    """Raises ExternalFailure, saying how to get it."""
    found = install.find(name)
    if found is None:
        raise ExternalFailure(
            f"{name.capitalize()} was not found.",
            hint="Put it on PATH, or build it once for this user with: paas engine install",
        )
    return found


def _child(spec: ServiceSpec, title: str, detail: str) -> ChildSpec:
    return ChildSpec(
        name=spec.name,
        title=title,
        argv=spec.argv,
        ready=spec.ready,
        detail=detail,
        env=spec.env,
        stop_seconds=spec.stop_grace,
        before_stop=spec.before_stop,
    )
