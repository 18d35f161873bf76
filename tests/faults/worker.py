"""A worker process on a remote simulated engine: ``python -m tests.faults.worker SOCKET``.

Reads the platform's own settings, so that ``PAAS_FAULT_KILL`` kills it as it would a real worker.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from app import faults
from app.adapters.git.repositories import LocalRepositories
from app.adapters.memory.slugs import MemorySlugStore
from app.crypto import load_secret_box
from app.db import Database
from app.drift.reconcile import DriftReconciler
from app.reconcile.driver import Driver
from app.reconcile.wake import WakeListener
from app.rollouts.reconcile import InstanceReconciler
from app.settings import load_settings
from app.teardown.reconcile import TeardownReconciler
from tests.deployments.stage import Builds
from tests.faults.remote import remote_ingress, remote_scheduler


async def main(socket: Path) -> None:
    settings = load_settings()
    faults.arm(settings.fault_kill)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = Database(settings.database_url)
    listener = WakeListener(settings.database_url)
    scheduler, ingress = remote_scheduler(socket), remote_ingress(socket)
    instances = InstanceReconciler(
        database,
        load_secret_box(settings),
        scheduler,
        ingress,
        MemorySlugStore(),
        Builds().ensure,
        rollout_seconds=settings.rollout_timeout_seconds,
    )
    drift = DriftReconciler(database, scheduler, ingress, every_seconds=60)
    repositories = LocalRepositories(settings.home_path / "repositories")
    teardown = TeardownReconciler(database, repositories, scheduler)
    driver = Driver(
        database,
        [instances, drift, teardown],
        listener=listener,
        lease_seconds=settings.lease_seconds,
    )
    await listener.start()
    await driver.run(stop)
    await listener.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
