"""What resolvers share by waiting for the same row."""

from __future__ import annotations

import asyncio

import pytest

from app.graphql.loaders import Loaders
from app.models import Organization
from tests.services.conftest import World


async def test_one_that_is_cancelled_leaves_the_row_to_the_others(world: World) -> None:
    """The executor cancels the siblings of a field that failed; they wait for what others wait for too."""
    loaders = Loaders(world.database, world.owner)
    both = [asyncio.create_task(loaders.by_id(Organization, world.acme.id)) for _ in range(2)]
    await asyncio.sleep(0)
    both[0].cancel()
    assert (await both[1]).id == world.acme.id
    with pytest.raises(asyncio.CancelledError):
        await both[0]
