"""How each component of the Nomad engine is run on one machine, as a value that a supervisor starts.

Every function writes the component's configuration below its folder and returns a ``ServiceSpec``.
Nothing is started here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from app.metrics.plan import BOUNDS


async def _nothing() -> None:
    return None


@dataclass(frozen=True)
class ServiceSpec:
    """A process to start, in a session of its own, and to stop with SIGTERM."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    """Whether it serves now; False while it is coming up. Never raises for a refused connection."""
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of the caller's."""
    stop_grace: float = 15.0
    """Seconds between SIGTERM and SIGKILL."""
    before_stop: Callable[[], Awaitable[None]] = _nothing
    """To be awaited while it still runs: it takes down what would outlive it."""


@dataclass(frozen=True)
class ConsulPorts:
    http: int = 8500
    serf: int = 8301
    server: int = 8300


@dataclass(frozen=True)
class NomadPorts:
    http: int = 4646
    rpc: int = 4647
    serf: int = 4648


def consul(
    binary: Path, home: Path, ports: ConsulPorts, *, management_token: str = ""
) -> ServiceSpec:
    """A one-member Consul in memory: Nomad and Traefik know everything that it holds.

    With a management token (a UUID) its ACLs are on and deny by default.
    """
    config: dict[str, Any] = {
        "bind_addr": "127.0.0.1",
        "disable_update_check": True,
        "log_level": "WARN",
        "node_name": "paas",
        "ports": {
            "http": ports.http,
            "dns": -1,
            "grpc": -1,
            "grpc_tls": -1,
            "serf_lan": ports.serf,
            "serf_wan": -1,
            "server": ports.server,
        },
    }
    if management_token:
        tokens = {"initial_management": management_token, "agent": management_token}
        config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
    file = _write_json(home / "consul" / "config.json", config)
    return ServiceSpec(
        name="consul",
        argv=(str(binary), "agent", "-dev", "-config-file", str(file)),
        ready=lambda: answers(f"http://127.0.0.1:{ports.http}/v1/status/leader", containing=":"),
    )


@dataclass(frozen=True)
class NomadOptions:
    consul_address: str
    ports: NomadPorts = field(default_factory=NomadPorts)
    raw_exec: bool = False
    """Also allow the driver that isolates nothing: where ``exec`` cannot be had (no root, no Linux)."""
    docker_socket: str = ""
    """``unix:///…`` of the Docker to use; empty: the default one."""
    consul_token: str = ""


def nomad(binary: Path, home: Path, options: NomadOptions) -> ServiceSpec:
    """Server and client in one agent, with ACLs on and its state on disk.

    Call ``nomad_access.prepare`` once it is ready, its ``drain`` before it is stopped (Nomad leaves its
    tasks running otherwise), and its ``resume`` when the platform is up again.
    """
    file = _write_json(home / "nomad" / "config.json", _nomad_config(home / "nomad", options))
    address = f"http://127.0.0.1:{options.ports.http}"
    return ServiceSpec(
        name="nomad",
        argv=(str(binary), "agent", "-config", str(file)),
        ready=lambda: answers(f"{address}/v1/status/leader", containing=":"),
        stop_grace=30.0,
    )


def _nomad_config(folder: Path, options: NomadOptions) -> dict[str, Any]:
    docker: dict[str, Any] = {"gc": [{"image": False}], "pids_limit": 4096}
    if options.docker_socket:
        docker["endpoint"] = options.docker_socket
    plugins: list[dict[str, Any]] = [{"docker": [{"config": [docker]}]}]
    if options.raw_exec:
        plugins.append({"raw_exec": [{"config": [{"enabled": True}]}]})
    return {
        "data_dir": str(folder / "data"),
        "name": "paas",
        "bind_addr": "127.0.0.1",
        "advertise": {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"},
        "ports": {
            "http": options.ports.http,
            "rpc": options.ports.rpc,
            "serf": options.ports.serf,
        },
        "log_level": "WARN",
        "disable_update_check": True,
        "acl": {"enabled": True},
        "server": {"enabled": True, "bootstrap_expect": 1},
        "client": {
            "enabled": True,
            "network_interface": "lo",
            "cpu_total_compute": 1000 * (os.cpu_count() or 1),
            "max_kill_timeout": "60s",
            "gc_max_allocs": 100,
            "chroot_env": chroot(folder / "root"),
            "host_volume": {RUNTIME_VOLUME: {"path": "/usr", "read_only": True}},
        },
        "consul": {"address": options.consul_address, "token": options.consul_token},
        "limits": {"http_max_conns_per_client": 0, "rpc_max_conns_per_client": 0},
        "plugin": plugins,
    }


RUNTIME_VOLUME = "paas-runtime"
"""This machine's ``/usr`` as a host volume, for ``PAAS_NOMAD_SLUG_VOLUME``: mounted, not linked file by
file for each start."""

_CHROOT = (
    "/etc/alternatives",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/ssl",
)


def chroot(skeleton: Path) -> dict[str, str]:
    """``chroot_env``: what an ``exec`` task sees of this machine besides ``/usr``.

    ``skeleton`` is filled with what links of files cannot express: the merged ``/bin`` and ``/lib``, and
    empty folders. The shell is there in its own right, since Nomad looks for it before it mounts.
    """
    for name in ("bin", "lib", "lib64", "sbin"):
        link, target = skeleton / name, Path("/", name)
        if target.is_symlink() and not link.is_symlink():
            skeleton.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.readlink(target))
    for name in ("usr/bin", "var/tmp"):
        (skeleton / name).mkdir(parents=True, exist_ok=True)
    shell = str(Path("/bin/sh").resolve())
    found = {path: path for path in _CHROOT if Path(path).exists()}
    return {str(skeleton): "/", shell: "/usr/bin/sh", **found}


def registry(home: Path, port: int) -> ServiceSpec:
    """Debian's ``docker-registry`` on loopback, which a Docker of this machine trusts without TLS."""
    folder = home / "registry"
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = _write_json(folder / "config.yml", config)  # JSON is YAML
    return ServiceSpec(
        name="registry",
        argv=("docker-registry", "serve", str(file)),
        ready=lambda: answers(f"http://127.0.0.1:{port}/v2/"),
    )


def dockerd(home: Path, socket: Path) -> ServiceSpec:
    """Debian's engine for this platform alone. Only where no other one runs: two share iptables chains."""
    folder = home / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    client = shutil.which("docker", path="/usr/bin") or "docker"
    return ServiceSpec(
        name="dockerd",
        argv=(
            "dockerd",
            f"--host=unix://{socket}",
            f"--data-root={folder / 'data'}",
            f"--exec-root={folder / 'run'}",
            f"--pidfile={folder / 'dockerd.pid'}",
            "--log-level=warn",
        ),
        ready=lambda: succeeds(client, "-H", f"unix://{socket}", "version"),
        stop_grace=30.0,
    )


@dataclass(frozen=True)
class TraefikPorts:
    web: int = 7080
    api: int = 7081


def traefik(
    binary: Path,
    consul_address: str,
    ports: TraefikPorts,
    *,
    host: str = "127.0.0.1",
    consul_token: str = "",
) -> ServiceSpec:
    """The router over Consul's catalog. ``providersThrottleDuration`` is what a new release waits for
    until it is reachable; ``readTimeout`` 0 because it limits whole uploads. The catalog's ``cache`` stays
    off: with it, Traefik is woken by a change and then reads the list from before it."""
    token = (f"--providers.consulcatalog.endpoint.token={consul_token}",) if consul_token else ()
    catalog = "--providers.consulcatalog"
    return ServiceSpec(
        name="traefik",
        argv=(
            str(binary),
            f"--entrypoints.web.address={host}:{ports.web}",
            "--entrypoints.web.transport.respondingtimeouts.readtimeout=0",
            f"--entrypoints.traefik.address=127.0.0.1:{ports.api}",
            "--api.insecure=true",
            "--ping=true",
            f"--metrics.prometheus.buckets={','.join(map(str, BOUNDS))}",
            "--metrics.prometheus.addentrypointslabels=false",
            f"{catalog}.endpoint.address={consul_address}",
            *token,
            f"{catalog}.watch=true",
            f"{catalog}.exposedbydefault=false",
            "--providers.providersthrottleduration=100ms",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            "--log.level=WARN",
        ),
        ready=lambda: answers(f"http://127.0.0.1:{ports.api}/ping"),
    )


async def answers(url: str, *, containing: str = "") -> bool:
    """Whether a GET is answered with 200 and a body that has ``containing``."""
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url) as response:
            return response.status == 200 and containing in await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def succeeds(*argv: str) -> bool:
    """Whether a program runs and ends with 0."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return False
    return await process.wait() == 0


def _write_json(file: Path, value: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2))
    file.chmod(0o600)
    return file
