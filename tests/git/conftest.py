from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db import Database
from tests.git.world import GitWorld, git_world


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[GitWorld]:
    async with git_world(database, tmp_path) as made:
        yield made
