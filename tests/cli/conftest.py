from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db import Database
from tests.cli.world import Terminal, terminal


@pytest.fixture
async def fresh(database: Database, tmp_path: Path) -> AsyncIterator[Terminal]:
    """Nobody is signed in, and nothing is there."""
    async with terminal(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def shop(fresh: Terminal) -> Terminal:
    """Signed in, and linked to acme/storefront/web with production (main) and staging (staging)."""
    await fresh.ok("login", fresh.host, stdin=fresh.token)
    await fresh.ok("init", "acme/storefront/web", "--create")
    await fresh.ok("envs", "create", "staging", "--branch", "staging")
    return fresh
