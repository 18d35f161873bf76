"""A worker that only collects logs: apps that a benchmark started by itself are no business of the others."""

from __future__ import annotations

import asyncio
import signal

from app import loop
from app.container import open_container
from app.logs.collect import CopiesReconciler, LogsReconciler
from app.reconcile.driver import Driver
from app.settings import load_settings


async def work() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    container = await open_container(load_settings(), role="worker")
    database, scheduler = container.database, container.scheduler
    try:
        kinds = (
            CopiesReconciler(database, scheduler),
            LogsReconciler(database, scheduler, container.logs),
        )
        await container.wakes.start()
        await Driver(database, kinds, listener=container.wakes).run(stop)
    finally:
        await container.close()


if __name__ == "__main__":
    loop.run(work())
