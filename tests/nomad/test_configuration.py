"""What ``nomad/`` tells an operator to use is valid, and formatted."""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
from pathlib import Path

import pytest

from app.engines import install
from app.engines.paths import configuration_folder
from app.engines.services import answers
from tests.conftest import free_port
from tests.engines.cluster import Cluster, engine_unavailable

pytestmark = [pytest.mark.nomad]


def said(program: str, *arguments: str) -> str:
    """Its output; fails the test with it unless it ends well."""
    found = install.find(program)
    if found is None:
        engine_unavailable(f"{program} not found; type: paas engine install")
    finished = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    return output


@pytest.mark.parametrize("folder", ["acl", "agent", "consul", "jobs"])
def test_every_file_is_formatted(folder: str) -> None:
    assert said("nomad", "fmt", "-check", "-list", str(configuration_folder() / folder)) == ""


@pytest.mark.parametrize("file", ["server.hcl", "client.hcl"])
def test_nomad_takes_the_agents_configuration(file: str) -> None:
    output = said("nomad", "config", "validate", str(configuration_folder() / "agent" / file))
    assert "Configuration is valid!" in output


@pytest.mark.parametrize("file", ["server.hcl", "agent.hcl"])
def test_consul_takes_its_configuration(file: str) -> None:
    said("consul", "validate", str(configuration_folder() / "consul" / file))


@pytest.mark.slow
async def test_nomad_takes_the_platforms_own_job(cluster: Cluster) -> None:
    file = configuration_folder() / "jobs" / "paas.nomad.hcl"
    await cluster.operator("namespace", "apply", "paas")
    output = await cluster.operator("job", "validate", str(file))
    await cluster.operator("namespace", "delete", "paas")
    assert "Job validation successful" in output


@pytest.mark.slow
async def test_traefik_takes_its_configuration(tmp_path: Path) -> None:
    ports = {":80": free_port(), ":8081": free_port()}
    text = (configuration_folder() / "traefik" / "traefik.yml").read_text()
    text = text.replace('":80"', f'"127.0.0.1:{ports[":80"]}"')
    text = text.replace("127.0.0.1:8081", f"127.0.0.1:{ports[':8081']}")
    file = tmp_path / "traefik.yml"
    file.write_text(text)
    program = Path(sysconfig.get_path("scripts"), "traefik")
    url = f"http://127.0.0.1:{ports[':8081']}"
    traefik = await asyncio.create_subprocess_exec(program, f"--configFile={file}")
    try:
        while not await answers(f"{url}/ping"):
            assert traefik.returncode is None, "Traefik refused its configuration"
        assert await answers(f"{url}/api/overview", containing="ConsulCatalog")
    finally:
        traefik.terminate()
        await traefik.wait()
