"""One real Postgres for the whole run, and a freshly migrated database for each test that asks."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from app.adapters.local.postgres import EmbeddedPostgres, server_user
from app.crypto import SecretBox
from app.db import Database
from app.migrate import migrate


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """In a folder of its own: pytest closes its temporary folders to other users when another run
    starts, and as root the server is another user."""
    folder = Path(tempfile.mkdtemp(prefix="paas-test-postgres-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder, free_port())
    server.initialise()
    process = subprocess.Popen(
        server.command("fsync=off", "full_page_writes=off", "synchronous_commit=off"),
        user=server_user(),
        cwd="/",
        stdout=(folder / "out.log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


async def _connect(url: str) -> asyncpg.Connection:
    for _ in range(600):
        try:
            return await asyncpg.connect(url)
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.05)
    raise TimeoutError("the test Postgres did not start")


@pytest.fixture(scope="session")
async def template_database(postgres: EmbeddedPostgres) -> str:
    """A migrated database that each test's own is copied from."""
    connection = await _connect(postgres.url("postgres"))
    await connection.execute("CREATE DATABASE paas_template")
    await connection.close()
    await migrate(postgres.url("paas_template"))
    return "paas_template"


_counter = iter(range(1_000_000))


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[str]:
    name = f"test_{next(_counter)}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield postgres.url(name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def secret_box() -> SecretBox:
    return SecretBox([b"k" * 32])
