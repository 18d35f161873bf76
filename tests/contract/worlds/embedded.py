"""The embedded engine as it runs: an agent in a process of its own, asked over its socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.adapters.local.ingress import LocalIngress
from app.adapters.local.scheduler import LocalScheduler
from jobs import Artifact, Capabilities
from tests.agent.machine import running_machine
from tests.contract.world import World


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    async with running_machine(with_traefik=True) as machine:
        scheduler, ingress = LocalScheduler(machine.settings), LocalIngress(machine.settings)
        found = await scheduler.capabilities()

        def artifact(command: str) -> Artifact:
            return machine.slug(Path(__file__).parent.parent / "sample_app", command)

        yield World(
            scheduler=scheduler,
            capabilities=Capabilities(
                engine="embedded", slug_driver="raw_exec", images=found.images
            ),
            ingress=ingress,
            artifact=artifact,
        )
        await ingress.close()
        await scheduler.close()
