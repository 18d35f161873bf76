from __future__ import annotations

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.adapters.local.postgres import EmbeddedPostgres
from app.db import Database
from app.migrate import alembic_config, migrate, migrate_if_behind, newest_revision
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


def test_file_names_tell_the_newest_revision() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert newest_revision() == scripts.get_current_head()
    assert all(
        script.path.split("/")[-1].startswith(f"{script.revision}_")
        for script in scripts.walk_revisions()
    )


async def test_schema_of_a_newer_version_is_left_alone(
    database: Database, database_url: str
) -> None:
    async with database.write_transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await migrate_if_behind(database_url)


async def test_empty_database_is_behind(postgres: EmbeddedPostgres, database: Database) -> None:
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CREATE DATABASE empty"))
        await migrate_if_behind(postgres.url("empty"))
        await migrate_if_behind(postgres.url("empty"))
        await connection.execute(text("DROP DATABASE empty"))
