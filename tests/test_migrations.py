from __future__ import annotations

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.db import Database
from app.migrate import migrate
from app.models import Base


def _differences(connection: Connection) -> list[object]:
    differences: list[object] = compare_metadata(
        MigrationContext.configure(connection), Base.metadata
    )
    return differences


async def test_the_migrated_schema_is_what_the_models_say(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_many_processes_may_migrate_at_once(database_url: str) -> None:
    await asyncio.gather(*(migrate(database_url) for _ in range(5)))
