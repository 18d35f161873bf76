from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.crypto import SecretBox
from app.db import Database
from tests.deployments.stage import Stage
from tests.factories import Placed, make_instance


@pytest.fixture
async def stage(database: Database, secret_box: SecretBox) -> AsyncIterator[Stage]:
    stage = Stage(database, secret_box)
    yield stage
    await stage.scheduler.close()


@pytest.fixture
async def web(database: Database) -> Placed:
    """acme/storefront/web in production: one copy, nothing deployed."""
    return await make_instance(database)
