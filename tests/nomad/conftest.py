"""The real engines, and the sample app of the contract suite on them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.adapters.consul.ingress import ConsulIngress
from tests.contract.world import SampleJob, World
from tests.contract.worlds.nomad import world_of
from tests.engines.cluster import Cluster, open_cluster
from tests.engines.docker import DockerEngine, docker_engine, image_registry

__all__ = ["docker_engine", "image_registry"]


@pytest.fixture(scope="session")
async def cluster(
    docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """Docker runs first, so that Nomad finds it when it starts."""
    async with open_cluster(tmp_path_factory.mktemp("cluster")) as opened:
        yield opened


@pytest.fixture(scope="session")
async def world(cluster: Cluster) -> AsyncIterator[World]:
    async with world_of(cluster) as opened:
        yield opened


@pytest.fixture(scope="session")
async def ingress(cluster: Cluster) -> AsyncIterator[ConsulIngress]:
    opened = ConsulIngress(cluster.settings)
    yield opened
    await opened.close()


@pytest.fixture
async def sample(world: World) -> AsyncIterator[SampleJob]:
    sample = SampleJob(world)
    yield sample
    await forget(sample)


async def forget(sample: SampleJob) -> None:
    await sample.scheduler.stop(sample.ref, purge=True)
    for path in await sample.scheduler.list_secrets(sample.ref):
        await sample.scheduler.delete_secrets(sample.ref, path)
