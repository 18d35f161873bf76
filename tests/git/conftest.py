"""One database and one server for all of these tests: what tells them apart is the tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.adapters.local.postgres import EmbeddedPostgres
from app.db import Database
from tests.git.world import GitWorld, Server, git_server, make_world


@pytest.fixture(scope="package")
async def server(
    postgres: EmbeddedPostgres,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Server]:
    name = "shared_" + request.node.name.replace("/", "_").replace(".", "_")
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template_database}')
    await connection.close()
    database = Database(postgres.url(name))
    async with git_server(database, tmp_path_factory.mktemp("git")) as made:
        yield made
    await database.close()


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> GitWorld:
    return await make_world(server, tmp_path)
