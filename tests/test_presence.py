"""The API in the service catalog: there while it serves, whatever the catalog does meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.memory.ingress import MemoryIngress
from app.adapters.memory.scheduler import MemoryScheduler
from app.http.presence import SERVICE, announced
from app.settings import Settings

PERIOD = 0.01


@pytest.fixture
def ingress() -> MemoryIngress:
    return MemoryIngress(MemoryScheduler())


async def known(ingress: MemoryIngress) -> tuple[str, int]:
    async with asyncio.timeout(5):
        while True:
            if SERVICE in ingress.platform:
                return ingress.platform[SERVICE]
            await asyncio.sleep(PERIOD)


async def test_an_api_is_known_while_it_serves(ingress: MemoryIngress) -> None:
    async with announced(ingress, Settings(api_host="10.0.0.5", api_port=7070)):
        assert await known(ingress) == ("10.0.0.5", 7070)
    assert ingress.platform == {}


async def test_an_api_that_listens_everywhere_is_known_where_nodes_reach_it(
    ingress: MemoryIngress,
) -> None:
    settings = Settings(api_host="0.0.0.0", internal_url="http://control.example.com:7070")
    async with announced(ingress, settings):
        assert await known(ingress) == ("control.example.com", 7070)


async def test_a_catalog_that_is_away_or_forgets_is_told_again(
    ingress: MemoryIngress, caplog: pytest.LogCaptureFixture
) -> None:
    ingress.down = True
    async with announced(ingress, Settings(), period=PERIOD):
        await asyncio.sleep(5 * PERIOD)
        ingress.down = False
        await known(ingress)
        ingress.platform.clear()
        await known(ingress)
        ingress.down = True
    said = [record.message for record in caplog.records]
    assert len(said) == len(set(said)), "a reason is told once"


async def test_what_nomad_runs_is_not_registered_twice(ingress: MemoryIngress) -> None:
    async with announced(ingress, Settings(nomad_alloc_id="5f7b1a1c"), period=PERIOD):
        await asyncio.sleep(3 * PERIOD)
        assert ingress.platform == {}
