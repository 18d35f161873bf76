"""The git server as a process of its own, which dies at the step it is told: see test_server_killed.py.

Arguments: database URL, home, port, step.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from app import faults
from app.adapters.git import LocalRepositories
from app.db import Database
from app.http.git import GitApp
from app.reconcile.wake import WakeListener
from app.settings import Settings
from tests.git.world import Wiring


async def serve(url: str, home: str, port: int) -> None:
    repositories = LocalRepositories(Path(home) / "repositories")
    wiring = Wiring(Settings(home=home), Database(url), repositories, WakeListener(url))
    routes = [Mount("/git", app=GitApp(wiring))]
    config = uvicorn.Config(
        Starlette(routes=routes), port=port, log_level="warning", lifespan="off"
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    faults.arm(sys.argv[4])
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
