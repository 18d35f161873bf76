"""A worker is killed, as by a power cut, at every step of a deployment; another one goes on."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, text

from app.adapters.git.repositories import LocalRepositories
from app.adapters.memory.cluster import Behaviour
from app.crypto import SecretBox
from app.db import Database
from app.drift.reconcile import DriftReconciler
from app.models import App, Deployment, DeploymentStatus, Environment, Project
from app.reconcile.driver import Driver
from app.rollouts.steps import STEPS
from app.teardown.reconcile import STEPS as TEARDOWN_STEPS
from app.teardown.reconcile import TeardownReconciler
from tests.deployments.stage import Stage
from tests.factories import Placed, make_instance
from tests.faults import invariants
from tests.faults.remote import served

A, B, C = "a" * 40, "b" * 40, "c" * 40

LEASE_SECONDS = 1
Scenario = Callable[[Stage, Placed], Awaitable[DeploymentStatus | None]]
"""Brings about the work, and says how the newest deployment must end (None: with its instance)."""


async def first_push(stage: Stage, placed: Placed) -> DeploymentStatus:
    await stage.push(placed, A)
    return DeploymentStatus.SUCCEEDED


async def third_push(stage: Stage, placed: Placed) -> DeploymentStatus:
    """After two that succeeded, so that the first one's variables are to be deleted."""
    await stage.deployed(placed, A)
    await stage.deployed(placed, B)
    await stage.push(placed, C)
    return DeploymentStatus.SUCCEEDED


async def push_that_the_router_sees_late(stage: Stage, placed: Placed) -> DeploymentStatus:
    await stage.deployed(placed, A)
    stage.ingress.deaf = True
    await stage.push(placed, B)
    return DeploymentStatus.SUCCEEDED


async def two_pushes(stage: Stage, placed: Placed) -> DeploymentStatus:
    await stage.deployed(placed, A)
    await stage.push(placed, B)
    await stage.push(placed, C)
    return DeploymentStatus.SUCCEEDED


async def silent_push(stage: Stage, placed: Placed) -> DeploymentStatus:
    await stage.deployed(placed, A)
    await stage.push(placed, B, behaviour=Behaviour.SILENT)
    return DeploymentStatus.FAILED


async def silent_first_push(stage: Stage, placed: Placed) -> DeploymentStatus:
    await stage.push(placed, A, behaviour=Behaviour.SILENT)
    return DeploymentStatus.FAILED


async def canceled_push(stage: Stage, placed: Placed) -> DeploymentStatus:
    await stage.deployed(placed, A)
    deployment = await stage.push(placed, B)
    async with stage.database.write_transaction() as session:
        row = await session.get_one(Deployment, deployment.id)
        row.cancel_requested_at = func.clock_timestamp()
    return DeploymentStatus.CANCELED


async def environment_deleted(stage: Stage, placed: Placed) -> None:
    await stage.deployed(placed, A)
    await _mark(stage, Environment, placed.environment.id, "deleted_at")


async def app_deleted(stage: Stage, placed: Placed) -> None:
    await stage.deployed(placed, A)
    await _mark(stage, App, placed.app.id, "deleted_at")


async def project_purged(stage: Stage, placed: Placed) -> None:
    await stage.deployed(placed, A)
    await _mark(stage, Project, placed.project.id, "deleted_at", "purge_requested_at")


async def _mark(stage: Stage, model: Any, identifier: str, *names: str) -> None:
    async with stage.database.write_transaction() as session:
        row = await session.get_one(model, identifier)
        for name in names:
            setattr(row, name, datetime.now(UTC))


SCENARIOS: dict[str, Scenario] = {
    "deployment.build_requested": first_push,
    "deployment.release_frozen": first_push,
    "deployment.namespace_ready": third_push,
    "deployment.secrets_put": third_push,
    "deployment.job_submitted": third_push,
    "deployment.submission_recorded": third_push,
    "deployment.route_recorded": push_that_the_router_sees_late,
    "deployment.succeeded": third_push,
    "deployment.superseded": two_pushes,
    "deployment.failure_recorded": silent_push,
    "deployment.previous_restored": silent_push,
    "deployment.job_stopped": silent_first_push,
    "deployment.failed": silent_push,
    "deployment.canceled": canceled_push,
    "deployment.secrets_pruned": third_push,
    "instance.removed_secrets": environment_deleted,
    "instance.removed_routes": environment_deleted,
    "instance.removed": environment_deleted,
    "teardown.repository_deleted": app_deleted,
    "teardown.namespace_deleted": project_purged,
    "teardown.row_deleted": environment_deleted,
}
ALL_STEPS = (*STEPS, *TEARDOWN_STEPS)
GONE: dict[Scenario, type[Environment | App | Project]] = {
    environment_deleted: Environment,
    app_deleted: App,
    project_purged: Project,
}
"""What a scenario of removal leaves no row of."""


def test_every_step_has_a_scenario() -> None:
    assert tuple(SCENARIOS) == ALL_STEPS


@pytest.fixture
async def stage(database: Database, secret_box: SecretBox) -> AsyncIterator[Stage]:
    stage = Stage(database, secret_box, deadline_seconds=60)
    stage.rollout_seconds = 1
    yield stage
    await stage.scheduler.close()


@pytest.mark.slow
@pytest.mark.parametrize("step", ALL_STEPS)
async def test_killed_at(step: str, stage: Stage, tmp_path: Path) -> None:
    placed = await make_instance(stage.database)
    repositories = LocalRepositories(tmp_path / "repositories")
    await repositories.create(placed.app.repository_key)
    stage.builds.held = step == "deployment.release_frozen"
    ending = await SCENARIOS[step](stage, placed)
    if stage.builds.held:
        await stage.run()
        await stage.finish_builds()
    socket = tmp_path / "engine"
    async with served(socket, scheduler=stage.scheduler, ingress=stage.ingress):
        assert await run_until_killed(stage, tmp_path, step) == -signal.SIGKILL
    stage.ingress.deaf = False
    await leases_have_ended(stage)
    teardown = TeardownReconciler(stage.database, repositories, stage.scheduler)
    drift = DriftReconciler(stage.database, stage.scheduler, stage.ingress, every_seconds=60)
    await Driver(stage.database, [stage.reconciler(), drift, teardown]).run_until_idle()
    await invariants.check(stage, placed)
    if ending is None:
        await everything_is_gone(stage, placed, SCENARIOS[step], repositories)
    else:
        assert (await stage.deployments(placed))[-1].status is ending
    if SCENARIOS[step] is third_push:
        assert len(stage.scheduler.submitted) == 3, "a release was registered twice"


async def everything_is_gone(
    stage: Stage, placed: Placed, scenario: Scenario, repositories: LocalRepositories
) -> None:
    assert stage.scheduler.cluster.jobs == {}
    assert stage.scheduler.cluster.secrets == {}
    rows = {Environment: placed.environment.id, App: placed.app.id, Project: placed.project.id}
    gone = GONE[scenario]
    async with stage.database.read_session() as session:
        assert await session.get(gone, rows[gone]) is None
    if gone is not Environment:
        assert list(await repositories.list()) == []


async def run_until_killed(stage: Stage, home: Path, step: str) -> int:
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.worker",
        str(home / "engine"),
        env={
            **os.environ,
            "PAAS_HOME": str(home),
            "PAAS_DATABASE_URL": stage.database.url,
            "PAAS_SECRET_KEY": base64.b64encode(b"k" * 32).decode(),
            "PAAS_FAULT_KILL": step,
            "PAAS_LEASE_SECONDS": str(LEASE_SECONDS),
            "PAAS_ROLLOUT_TIMEOUT_SECONDS": str(int(stage.rollout_seconds)),
        },
    )
    try:
        async with asyncio.timeout(60):
            return await worker.wait()
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def leases_have_ended(stage: Stage) -> None:
    """The dead worker's leases run out by the database's clock."""
    live = text("SELECT count(*) FROM lease WHERE expires_at > clock_timestamp()")
    async with asyncio.timeout(30):
        while True:
            async with stage.database.read_session() as session:
                if (await session.execute(live)).scalar_one() == 0:
                    return
            await asyncio.sleep(0.05)
