"""Bring the database's schema up to date, under a lock, so that any number of processes may start at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db import asyncpg_url
from app.errors import ExternalFailure

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x70616173  # "paas": the advisory lock's number, chosen once
_SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"


def alembic_config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def newest_revision() -> str:
    """By the scripts' file names, ``0001_what_it_does.py``: Alembic need not be loaded to know it."""
    return max(script.name for script in (_SCRIPTS / "versions").glob("[0-9]*.py")).split("_")[0]


async def migrate_if_behind(url: str) -> None:
    """``migrate`` in a process of its own when it is needed, so that ours never loads Alembic (10 MB).

    A newer schema than ours is left alone: migrations expand first and contract a version later, so
    that the last version still runs on it. Raises ExternalFailure with the end of what went wrong.
    """
    if (await _revision(url) or "") >= newest_revision():
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.migrate",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate(url.encode())
    if process.returncode != 0:
        raise ExternalFailure(
            f"The database's schema could not be brought up to date: {said.decode()[-800:].strip()}",
            hint="`paas migrate` tries it again.",
        )


async def _revision(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        revision: str = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    else:
        return revision
    finally:
        await connection.close()


async def migrate(url: str) -> None:
    """Upgrade to the newest revision; the one who comes second waits and finds nothing to do."""
    engine = create_async_engine(asyncpg_url(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


if __name__ == "__main__":
    asyncio.run(migrate(sys.stdin.read()))
