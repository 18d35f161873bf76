"""Each world is opened once for the whole run, when the first test asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module

import pytest

from tests.contract.world import SampleJob, World

WORLDS = [
    "memory",
    pytest.param("embedded", marks=pytest.mark.slow),
    pytest.param("nomad", marks=[pytest.mark.nomad, pytest.mark.slow]),
]
"""Modules of ``tests.contract.worlds``; use ``pytest.param(name, marks=…)`` for one that needs an engine."""


@pytest.fixture(scope="session", params=WORLDS)
async def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    module = import_module(f"tests.contract.worlds.{request.param}")
    async with module.open_world(tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest.fixture
async def sample(world: World) -> AsyncIterator[SampleJob]:
    """A job that nothing is known of yet; whatever the test made of it is removed afterwards."""
    sample = SampleJob(world)
    yield sample
    await world.scheduler.stop(sample.ref, purge=True)
    for path in await world.scheduler.list_secrets(sample.ref):
        await world.scheduler.delete_secrets(sample.ref, path)
