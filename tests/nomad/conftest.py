"""The real engines, and the sample app of the contract suite on them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.adapters.consul.ingress import ConsulIngress
from tests.contract.world import SampleJob, World
from tests.contract.worlds.nomad import world_of
from tests.engines.cluster import Cluster, cluster

__all__ = ["cluster"]


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
    await world.scheduler.stop(sample.ref, purge=True)
    for path in await world.scheduler.list_secrets(sample.ref):
        await world.scheduler.delete_secrets(sample.ref, path)
