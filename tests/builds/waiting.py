"""Deployments that wait for a build, and a lease to build under."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db import Database, WriteSession
from app.ids import new_id
from app.models import Build, Deployment, DeploymentStatus, DeploymentTrigger, Instance
from app.reconcile.lease import HeldLease, acquire


async def make_deployment(
    database: Database,
    instance: Instance,
    build: Build,
    *,
    status: DeploymentStatus = DeploymentStatus.BUILDING,
    session: WriteSession | None = None,
) -> Deployment:
    deployment = Deployment(
        id=new_id("dep"),
        instance_id=instance.id,
        number=int(new_id("n")[-6:], 36) % 1_000_000,
        status=status,
        trigger=DeploymentTrigger.API,
        commit_sha=build.commit_sha,
        build_id=build.id,
    )
    if session is not None:
        session.add(deployment)
        await session.flush()
        return deployment
    async with database.write_transaction() as fresh:
        fresh.add(deployment)
    return deployment


@asynccontextmanager
async def leased(database: Database, key: str, kind: str = "build") -> AsyncIterator[HeldLease]:
    lease = await acquire(database, kind, key, owner="test", seconds=15)
    try:
        yield lease
    finally:
        await lease.release()
