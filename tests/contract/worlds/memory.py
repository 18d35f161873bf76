"""The fake, which must keep every promise that the real engines keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.adapters.memory.ingress import MemoryIngress
from app.adapters.memory.scheduler import MemoryScheduler
from jobs import Artifact
from tests.contract.world import World


def _artifact(command: str) -> Artifact:
    return Artifact(kind="slug", reference="memory://sample", sha256="5" * 64, command=command)


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    scheduler = MemoryScheduler(startup_seconds=0.01, backoff_seconds=0.02)
    yield World(
        scheduler=scheduler,
        capabilities=await scheduler.capabilities(),
        ingress=MemoryIngress(scheduler),
        artifact=_artifact,
    )
    await scheduler.close()
