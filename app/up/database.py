"""The embedded Postgres as a component of ``paas up``."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import asyncpg

from app.adapters.local import postgres
from app.adapters.local.postgres import EmbeddedPostgres
from app.settings import Settings
from app.up.children import ChildSpec
from app.up.supervisor import Say

_DATABASE = "paas"
_CONNECT_SECONDS = 5
_SETTINGS = ("shared_buffers=64MB", "max_connections=200", "log_min_messages=warning")


def spec(settings: Settings, say: Say) -> ChildSpec:
    """Blocks while the data directory is made, the first time."""
    server = postgres.located(settings.home_path, settings.postgres_port)
    if not (server.data / "PG_VERSION").exists():
        say("Making the database's folder, this once")
    server.initialise()

    async def clear_lock() -> None:
        pid = server.clear_stale_lock()
        if pid is not None:
            say(
                f"Postgres (process {pid}) had ended without letting its lock go; removed the lock."
            )

    async def ready() -> bool:
        return await _ready(server)

    return ChildSpec(
        name="postgres",
        title="Postgres",
        argv=server.command(*_SETTINGS),
        ready=ready,
        detail=f"127.0.0.1:{server.port}",
        identity=postgres.identity(),
        stop_signal=signal.SIGINT,  # "fast": do not wait for clients
        before_start=clear_lock,
    )


async def _ready(server: EmbeddedPostgres) -> bool:
    """Whether it takes connections; then the platform's database exists, too."""
    try:
        connection = await asyncpg.connect(server.url("postgres"), timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
        return False
    try:
        exists = "SELECT 1 FROM pg_database WHERE datname = $1"
        if await connection.fetchval(exists, _DATABASE) is None:
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f"CREATE DATABASE {_DATABASE}")
    finally:
        await asyncio.shield(connection.close())
    return True
