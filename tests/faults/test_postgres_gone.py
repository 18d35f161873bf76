"""The database goes away in the middle of a rollout, for longer than a lease lasts, and comes back."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.adapters.local.postgres import EmbeddedPostgres, server_user
from app.crypto import SecretBox
from app.db import Database
from app.migrate import migrate
from app.models import DeploymentStatus
from app.reconcile.driver import Driver
from app.reconcile.wake import WakeListener
from tests.conftest import free_port
from tests.deployments.stage import Stage
from tests.deployments.waiting import until
from tests.factories import make_instance
from tests.faults import invariants

GONE_SECONDS = 30.0
LEASE_SECONDS = 15.0
A, B = "a" * 40, "b" * 40


class Server:
    """A Postgres of the test's own, to stop and start."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(folder, free_port())
        self.postgres.initialise()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = self._spawn()
        async with asyncio.timeout(60):
            while True:
                try:
                    connection = await asyncpg.connect(self.postgres.url("postgres"))
                except (OSError, asyncpg.CannotConnectNowError):
                    await asyncio.sleep(0.05)
                    continue
                await connection.close()
                return

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = (self.postgres.folder / "out.log").open("ab")
        return subprocess.Popen(
            self.postgres.command(), user=server_user(), cwd="/", stdout=log, stderr=log
        )

    async def stop(self) -> None:
        """At once, cutting every connection (SIGINT is Postgres's fast shutdown)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            await asyncio.to_thread(self._process.wait, 30)
            self._process = None

    async def create_database(self) -> str:
        connection = await asyncpg.connect(self.postgres.url("postgres"))
        await connection.execute("CREATE DATABASE paas")
        await connection.close()
        await migrate(self.postgres.url())
        return self.postgres.url()


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="paas-test-postgres-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
async def test_a_rollout_ends_after_the_database_was_gone(
    folder: Path, secret_box: SecretBox
) -> None:
    server = Server(folder)
    await server.start()
    url = await server.create_database()
    database, listener, stop = Database(url), WakeListener(url), asyncio.Event()
    stage = Stage(database, secret_box)
    stage.rollout_seconds = 60
    await listener.start()
    driver = Driver(database, [stage.reconciler()], listener=listener, lease_seconds=LEASE_SECONDS)
    worker = asyncio.create_task(driver.run(stop))
    try:
        web = await make_instance(database)
        stage.ingress.deaf = True
        rolling = await stage.push(web, A)
        await until(stage, rolling, DeploymentStatus.RELEASING)
        await server.stop()
        stage.ingress.deaf = False
        await asyncio.sleep(GONE_SECONDS)
        assert not worker.done(), "the worker gave up"
        await server.start()
        await until(stage, rolling, DeploymentStatus.SUCCEEDED)
        later = await stage.push(web, B)
        await until(stage, later, DeploymentStatus.SUCCEEDED)
    finally:
        stop.set()
        await worker
        await listener.close()
    await stage.run()
    await invariants.check(stage, web)
    assert len(stage.scheduler.submitted) == 2
    await stage.scheduler.close()
    await database.close()
    await server.stop()
