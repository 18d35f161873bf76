"""Nomad with its ACLs on, through the token that the documented policy gives the platform.

Namespaces are what Nomad lets a management token alone make; the second token, used for nothing else, is
set here as an operator may set it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from app.adapters.consul.ingress import ConsulIngress
from app.adapters.nomad.scheduler import NomadScheduler
from jobs import Artifact
from tests.contract.world import World, pack_sample_app
from tests.engines.cluster import Cluster, open_cluster


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    async with open_cluster(folder) as cluster, world_of(cluster) as world:
        yield world


@asynccontextmanager
async def world_of(cluster: Cluster) -> AsyncIterator[World]:
    digest = pack_sample_app(cluster.slugs.folder / "sample")

    def artifact(command: str) -> Artifact:
        return Artifact(
            kind="slug", reference=cluster.slugs.url("sample"), sha256=digest, command=command
        )

    settings = msgspec.structs.replace(
        cluster.settings, nomad_namespace_token_file=str(cluster.access.management_token_file)
    )
    scheduler, ingress = NomadScheduler(settings), ConsulIngress(settings)
    try:
        yield World(
            scheduler=scheduler,
            capabilities=await scheduler.capabilities(),
            ingress=ingress,
            artifact=artifact,
        )
    finally:
        await ingress.close()
        await scheduler.close()
