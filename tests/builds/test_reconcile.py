"""From a queued row to an artifact: outcomes, limits, cancellation, and a worker that dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import delete, select

from app.builds import queries
from app.builds.reconcile import source_folder
from app.crypto import SecretBox
from app.db import WAKE_CHANNEL, Database
from app.errors import ExternalFailure
from app.models import (
    App,
    Build,
    BuildLogLine,
    BuildStatus,
    Deployment,
    DeploymentStatus,
    FailureCode,
)
from app.ports.builder import BuildFailed
from app.ports.repositories import SourceTooLarge, UnsafeSource
from app.settings import Settings
from tests.builds.waiting import leased, make_deployment
from tests.builds.yard import Yard
from tests.factories import COMMIT, Placed, make_instance


@pytest.fixture
def yard(database: Database, secret_box: SecretBox, tmp_path: Path) -> Yard:
    return Yard(database, secret_box, Settings(home=str(tmp_path / "home")))


@pytest.fixture
async def placed(database: Database) -> Placed:
    return await make_instance(database)


async def _log(yard: Yard, build_id: str) -> list[str]:
    async with yard.database.read_session() as session:
        return [line.text for line in await queries.log_lines(session, build_id, after=0, limit=99)]


async def _end_deployment(yard: Yard, deployment: Deployment) -> None:
    async with yard.database.write_transaction() as session:
        row = await session.get_one(Deployment, deployment.id)
        row.status = DeploymentStatus.CANCELED
        await session.wake("build", str(row.build_id))


async def test_queued_build_becomes_an_artifact(yard: Yard, placed: Placed) -> None:
    queued, _ = await yard.queue(placed, env={"TOKEN": "secret-token"})
    yard.builder.lines = ["installing with secret-token"]
    build = await yard.reconcile(queued.id)
    assert build.status is BuildStatus.SUCCEEDED
    assert build.artifact is not None
    assert await yard.slugs.has(build.artifact)
    assert build.processes == {"web": "python3 main.py"}
    assert build.build_env is None
    assert yard.builder.built[0].build_env == {"TOKEN": "secret-token"}
    assert yard.builder.built[0].app_name == "acme/storefront/web"
    assert await _log(yard, build.id) == ["installing with [hidden]"]
    assert not source_folder(yard.settings, build.id).exists()


async def test_every_instance_that_waits_is_woken(
    yard: Yard, placed: Placed, database_url: str
) -> None:
    queued, _ = await yard.queue(placed)
    staging = await make_instance(yard.database, environment="staging")
    await make_deployment(yard.database, staging.instance, queued)
    heard: list[str] = []
    listener = await asyncpg.connect(database_url)
    await listener.add_listener(WAKE_CHANNEL, lambda *args: heard.append(str(args[-1])))
    await yard.reconcile(queued.id)
    await listener.execute("SELECT 1")
    await listener.close()
    waiting = {f"instance:{placed.instance.id}", f"instance:{staging.instance.id}"}
    assert waiting | {f"build-progress:{queued.id}"} <= set(heard)


async def test_failure_of_the_app_is_recorded_in_words(yard: Yard, placed: Placed) -> None:
    queued, _ = await yard.queue(placed)
    yard.builder.outcomes[COMMIT] = BuildFailed(FailureCode.BUILD_FAILED, "It broke.", "Mend it.")
    build = await yard.reconcile(queued.id)
    assert build.status is BuildStatus.FAILED
    assert build.failure_code is FailureCode.BUILD_FAILED
    assert (build.failure_message, build.failure_hint) == ("It broke.", "Mend it.")
    assert build.artifact is None


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (UnsafeSource("evil links to /etc"), FailureCode.UNSAFE_SOURCE),
        (SourceTooLarge("600 MB, and the limit is 512 MB"), FailureCode.BUILD_LIMIT),
        (ExternalFailure("git does not answer"), FailureCode.INTERNAL),
    ],
)
async def test_commit_that_cannot_be_exported_fails_the_build(
    yard: Yard, placed: Placed, problem: UnsafeSource, code: FailureCode
) -> None:
    queued, _ = await yard.queue(placed)
    yard.repositories.problem = problem
    build = await yard.reconcile(queued.id)
    assert (build.failure_code, build.failure_message) == (code, problem.message)


async def test_build_that_takes_too_long_is_stopped(
    database: Database, secret_box: SecretBox, tmp_path: Path, placed: Placed
) -> None:
    settings = Settings(home=str(tmp_path / "home"), build_timeout_seconds=1)
    yard = Yard(database, secret_box, settings)
    queued, _ = await yard.queue(placed)
    yard.builder.gate.clear()
    build = await yard.reconcile(queued.id)
    assert build.failure_code is FailureCode.BUILD_TIMEOUT
    assert "1 seconds" in str(build.failure_message)
    assert yard.builder.canceled == [build.id]


async def test_fault_of_ours_ends_the_build(yard: Yard, placed: Placed) -> None:
    queued, _ = await yard.queue(placed)
    yard.repositories.files = None  # type: ignore[assignment]
    build = await yard.reconcile(queued.id)
    assert build.failure_code is FailureCode.INTERNAL


async def test_running_build_is_stopped_when_nobody_waits_any_more(
    yard: Yard, placed: Placed
) -> None:
    queued, deployment = await yard.queue(placed)
    yard.builder.gate.clear()
    async with leased(yard.database, queued.id) as lease:
        work = asyncio.create_task(yard.reconciler.reconcile(queued.id, lease))
        while not yard.builder.built:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await _end_deployment(yard, deployment)
        lease.woken.set()
        await asyncio.wait_for(work, 30)
    assert (await yard.row(queued.id)).status is BuildStatus.CANCELED
    assert yard.builder.canceled == [queued.id]


async def test_queued_build_that_nobody_waits_for_is_not_begun(yard: Yard, placed: Placed) -> None:
    queued, deployment = await yard.queue(placed)
    await _end_deployment(yard, deployment)
    assert (await yard.reconcile(queued.id)).status is BuildStatus.CANCELED
    assert yard.builder.built == []


async def test_interrupted_build_starts_from_scratch(yard: Yard, placed: Placed) -> None:
    queued, _ = await yard.queue(placed)
    yard.builder.gate.clear()
    async with leased(yard.database, queued.id) as lease:
        work = asyncio.create_task(yard.reconciler.reconcile(queued.id, lease))
        while not yard.builder.built:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert (await yard.row(queued.id)).status is BuildStatus.RUNNING
    assert await yard.reconciler.pending() == [queued.id]
    left = source_folder(yard.settings, queued.id)
    left.mkdir(parents=True)
    (left / "stale").touch()
    yard.builder.gate.set()
    build = await yard.reconcile(queued.id)
    assert build.status is BuildStatus.SUCCEEDED
    assert "The build was interrupted: starting it again from the beginning." in await _log(
        yard, build.id
    )
    assert yard.builder.cleaned == [build.id, build.id]


async def test_pending_leaves_out_what_another_worker_builds(yard: Yard, placed: Placed) -> None:
    first, _ = await yard.queue(placed)
    second, _ = await yard.queue(placed, commit="f" * 40)
    assert await yard.reconciler.pending() == [first.id, second.id]
    async with leased(yard.database, first.id):
        assert await yard.reconciler.pending() == [second.id]
    await yard.reconcile(second.id)
    assert await yard.reconciler.pending() == [first.id]


async def test_app_deleted_under_a_running_build_ends_it(yard: Yard, placed: Placed) -> None:
    queued, _ = await yard.queue(placed)
    yard.builder.gate.clear()
    async with leased(yard.database, queued.id) as lease:
        work = asyncio.create_task(yard.reconciler.reconcile(queued.id, lease))
        while not yard.builder.built:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with yard.database.write_transaction() as session:
            await session.execute(delete(App).where(App.id == placed.app.id))
        lease.woken.set()
        await asyncio.wait_for(work, 30)
    assert yard.builder.canceled == [queued.id]
    async with yard.database.read_session() as session:
        assert (await session.scalars(select(BuildLogLine))).all() == []
        assert await session.get(Build, queued.id) is None
