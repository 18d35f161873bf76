"""Real Consul and Nomad (ACLs on in both) and Traefik on this machine for tests; nothing of it outlives them.

The platform's side of a ``Cluster`` holds only the token that ``nomad/acl/platform-policy.hcl`` gives.
"""

from __future__ import annotations

import asyncio
import functools
import http.server
import os
import signal
import subprocess
import sysconfig
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import aiohttp
import pytest

from app.engines import install, services
from app.engines.nomad_access import Access, drain, mounts_below, prepare
from app.engines.paths import configuration_folder
from app.engines.services import ServiceSpec
from app.settings import Settings
from tests.conftest import free_port

START_SECONDS = 60


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path_factory.mktemp("cluster")) as opened:
        yield opened


def engine_unavailable(reason: str) -> Never:
    """Skip, or fail where every engine is required."""
    if os.environ.get("PAAS_REQUIRE_ENGINES") or os.environ.get("CI"):
        pytest.fail(f"Nomad is required here: {reason}")
    pytest.skip(f"Nomad is not available: {reason}")


def require_nomad() -> dict[str, Path]:
    """Where Nomad and Consul are. Skips or fails the asking test where they cannot be run."""
    if os.geteuid() != 0:
        engine_unavailable("only root can run Nomad's exec driver")
    found = {name: install.find(name) for name in ("consul", "nomad")}
    if missing := [name for name, path in found.items() if path is None]:
        engine_unavailable(f"{', '.join(missing)} not found; type: paas engine install")
    return {name: path for name, path in found.items() if path is not None}


@dataclass
class Running:
    """A started component, which a test may kill and start again."""

    spec: ServiceSpec
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.spec.argv,
                env={**os.environ, **self.spec.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def start(self) -> None:
        process = self.process = self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while not await self.spec.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.spec.name} did not start:\n{tail}")
            await asyncio.sleep(0.05)

    async def stop(self, *, kill: bool = False) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, self.spec.stop_grace)
        self.process = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.spec.name}.log"


@dataclass
class Cluster:
    folder: Path
    access: Access
    settings: Settings
    """As the platform has them: addresses, and its own token."""
    ingress: str
    """``host:port`` of Traefik."""
    slugs: SlugServer
    consul_management_token: str
    running: dict[str, Running] = field(default_factory=dict)

    async def operator(self, *arguments: str) -> str:
        """The ``nomad`` command line with the management token, as an operator would type it."""
        status, output = await self.nomad(*arguments, token=self.access.management_token)
        assert status == 0, output
        return output

    async def nomad(self, *arguments: str, token: str) -> tuple[int, str]:
        """Exit status and output of the ``nomad`` command line."""
        process = await asyncio.create_subprocess_exec(
            str(install.find("nomad")),
            *arguments,
            env={**os.environ, "NOMAD_ADDR": self.access.address, "NOMAD_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")


@dataclass(frozen=True)
class SlugServer:
    """Serves a folder to the node, as the platform's slug downloads do."""

    folder: Path
    port: int

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@contextmanager
def slug_server(folder: Path) -> Iterator[SlugServer]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield SlugServer(folder, server.server_address[1])
        server.shutdown()
        thread.join()


@asynccontextmanager
async def open_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Skips or fails the asking test where it cannot be had."""
    binaries = require_nomad()
    consul_ports = services.ConsulPorts(free_port(), free_port(), free_port())
    nomad_ports = services.NomadPorts(free_port(), free_port(), free_port())
    traefik_ports = services.TraefikPorts(free_port(), free_port())
    consul_address = f"127.0.0.1:{consul_ports.http}"
    management = str(uuid.uuid4())
    running: dict[str, Running] = {}
    async with AsyncExitStack() as stack:
        (folder / "slugs").mkdir()
        server = stack.enter_context(slug_server(folder / "slugs"))

        async def start(spec: ServiceSpec) -> None:
            running[spec.name] = Running(spec, folder)
            stack.push_async_callback(running[spec.name].stop)
            await running[spec.name].start()

        await start(
            services.consul(binaries["consul"], folder, consul_ports, management_token=management)
        )
        consul_tokens = {
            name: await _consul_token(consul_address, management, name)
            for name in ("nomad", "traefik", "platform")
        }
        options = services.NomadOptions(
            consul_address, nomad_ports, consul_token=consul_tokens["nomad"]
        )
        await start(services.nomad(binaries["nomad"], folder, options))
        await start(
            services.traefik(
                Path(sysconfig.get_path("scripts"), "traefik"),
                consul_address,
                traefik_ports,
                consul_token=consul_tokens["traefik"],
            )
        )
        address = f"http://127.0.0.1:{nomad_ports.http}"
        access = await prepare(address, folder)
        settings = Settings(
            home=str(folder),
            scheduler="nomad",
            nomad_addr=address,
            nomad_token_file=str(access.platform_token_file),
            nomad_slug_volume=services.RUNTIME_VOLUME,
            consul_addr=consul_address,
            consul_token=consul_tokens["platform"],
            ingress_port=traefik_ports.web,
            traefik_api=f"http://127.0.0.1:{traefik_ports.api}",
        )
        cluster = Cluster(
            folder, access, settings, f"127.0.0.1:{traefik_ports.web}", server, management, running
        )
        stack.push_async_callback(_clean, cluster)
        await _node_ready(cluster)
        yield cluster


async def _consul_token(address: str, management: str, name: str) -> str:
    """A token with ``nomad/acl/consul-<name>-policy.hcl``, made as the documentation says."""
    rules = (configuration_folder() / "acl" / f"consul-{name}-policy.hcl").read_text()
    headers = {"X-Consul-Token": management}
    async with aiohttp.ClientSession(f"http://{address}", headers=headers) as session:

        async def put(path: str, body: dict[str, object]) -> dict[str, str]:
            async with session.put(path, json=body) as response:
                assert response.status == 200, await response.text()
                answer: dict[str, str] = await response.json()
                return answer

        await put("/v1/acl/policy", {"Name": name, "Rules": rules})
        token = await put("/v1/acl/token", {"Policies": [{"Name": name}]})
        return token["SecretID"]


async def _node_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "ready" not in await cluster.operator("node", "status"):
        assert time.monotonic() < deadline, "Nomad's node did not become ready"
        await asyncio.sleep(0.1)


async def _clean(cluster: Cluster) -> None:
    """Every task ended, every mount gone; then Nomad may stop."""
    data = cluster.folder / "nomad" / "data"
    await drain(cluster.access, data)
    assert mounts_below(data) == []
