from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.adapters.local.ingress import LocalIngress
from jobs import Capabilities
from tests.agent.machine import Machine, running_machine
from tests.contract.world import SampleJob, World
from tests.engines.docker import docker_engine

__all__ = ["docker_engine"]

_SAMPLE_APP = Path(__file__).parents[1] / "contract" / "sample_app"


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    async with running_machine() as machine:
        yield machine


@pytest.fixture
async def routed_machine() -> AsyncIterator[Machine]:
    async with running_machine(with_traefik=True) as machine:
        yield machine


@pytest.fixture
def sample_on() -> Callable[[Machine], SampleJob]:
    """An instance of the contract suite's sample app on a machine of this folder's tests."""

    def sample(machine: Machine) -> SampleJob:
        world = World(
            scheduler=machine.scheduler,
            capabilities=Capabilities(engine="embedded", slug_driver="raw_exec"),
            ingress=LocalIngress(machine.settings),
            artifact=lambda command: machine.slug(_SAMPLE_APP, command),
        )
        return SampleJob(world)

    return sample
