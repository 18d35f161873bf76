"""Once per commit and inputs: which build a deployment gets, and when one is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from sqlalchemy import func, select, update

from app.builds import service
from app.crypto import SecretBox
from app.db import Database
from app.models import App, Build, BuildStatus, DeploymentStatus
from tests.builds.waiting import make_deployment
from tests.factories import COMMIT, make_instance


@pytest.fixture
async def app(database: Database) -> App:
    return (await make_instance(database)).app


async def _ensure(
    database: Database,
    app: App,
    box: SecretBox,
    *,
    commit: str = COMMIT,
    env: Mapping[str, str] | None = None,
    profile: str = "",
) -> Build:
    async with database.write_transaction() as session:
        return await service.ensure(
            session, app=app, commit_sha=commit, build_env=env or {}, box=box, profile=profile
        )


async def _set(database: Database, build: Build, **values: object) -> None:
    async with database.write_transaction() as session:
        await session.execute(update(Build).where(Build.id == build.id).values(**values))


async def test_many_at_once_get_one_build(
    database: Database, app: App, secret_box: SecretBox
) -> None:
    builds = await asyncio.gather(*(_ensure(database, app, secret_box) for _ in range(8)))
    assert len({build.id for build in builds}) == 1
    async with database.read_session() as session:
        assert await session.scalar(select(func.count()).select_from(Build)) == 1


@pytest.mark.parametrize("status", [BuildStatus.QUEUED, BuildStatus.RUNNING])
async def test_build_under_way_is_shared(
    database: Database, app: App, secret_box: SecretBox, status: BuildStatus
) -> None:
    first = await _ensure(database, app, secret_box)
    await _set(database, first, status=status)
    assert (await _ensure(database, app, secret_box)).id == first.id


async def test_success_is_reused_while_its_artifact_is_kept(
    database: Database, app: App, secret_box: SecretBox
) -> None:
    first = await _ensure(database, app, secret_box)
    await _set(database, first, status=BuildStatus.SUCCEEDED, artifact="a" * 64)
    assert (await _ensure(database, app, secret_box)).id == first.id
    await _set(database, first, artifact=None)
    again = await _ensure(database, app, secret_box)
    assert (again.attempt, again.status) == (2, BuildStatus.QUEUED)


@pytest.mark.parametrize("status", [BuildStatus.FAILED, BuildStatus.CANCELED])
async def test_after_one_that_ended_badly_the_next_attempt_is_made(
    database: Database, app: App, secret_box: SecretBox, status: BuildStatus
) -> None:
    first = await _ensure(database, app, secret_box)
    await _set(database, first, status=status)
    again = await asyncio.gather(*(_ensure(database, app, secret_box) for _ in range(4)))
    assert {build.attempt for build in again} == {2}
    assert len({build.id for build in again}) == 1


async def test_other_inputs_are_another_build(
    database: Database, app: App, secret_box: SecretBox
) -> None:
    builds = [
        await _ensure(database, app, secret_box),
        await _ensure(database, app, secret_box, commit="f" * 40),
        await _ensure(database, app, secret_box, env={"TOKEN": "1"}),
        await _ensure(database, app, secret_box, env={"TOKEN": "2"}),
        await _ensure(database, app, secret_box, profile="nomad registry:5000"),
    ]
    assert len({build.id for build in builds}) == len(builds)


async def test_variables_are_sealed_and_their_digest_tells_nothing(
    database: Database, app: App, secret_box: SecretBox
) -> None:
    build = await _ensure(database, app, secret_box, env={"TOKEN": "hunter2"})
    other_key = SecretBox([b"o" * 32])
    assert build.build_env is not None
    assert b"hunter2" not in build.build_env
    assert service.inputs_digest({"TOKEN": "hunter2"}, other_key, "") != build.inputs_digest


async def test_build_that_a_deployment_waits_for_is_not_cancelled(
    database: Database, app: App, secret_box: SecretBox
) -> None:
    placed = await make_instance(database, environment="staging")
    build = await _ensure(database, app, secret_box)
    deployment = await make_deployment(database, placed.instance, build)
    async with database.write_transaction() as session:
        assert not await service.cancel_if_unneeded(session, build.id)
    async with database.write_transaction() as session:
        row = await session.merge(deployment)
        row.status = DeploymentStatus.CANCELED
    async with database.write_transaction() as session:
        assert await service.cancel_if_unneeded(session, build.id)
    async with database.read_session() as session:
        ended = await session.get_one(Build, build.id)
        assert (ended.status, ended.build_env) == (BuildStatus.CANCELED, None)


async def test_build_taken_while_it_is_being_cancelled_is_not(
    database: Database, app: App, secret_box: SecretBox
) -> None:
    """Whoever takes a build holds its row until the deployment is recorded; the canceller waits."""
    placed = await make_instance(database, environment="staging")
    build = await _ensure(database, app, secret_box)

    async def cancel() -> bool:
        async with database.write_transaction() as session:
            return await service.cancel_if_unneeded(session, build.id)

    async with database.write_transaction() as session:
        taken = await service.ensure(
            session, app=app, commit_sha=COMMIT, build_env={}, box=secret_box
        )
        canceling = asyncio.create_task(cancel())
        await asyncio.wait({canceling}, timeout=0.1)
        assert not canceling.done()
        await make_deployment(database, placed.instance, taken, session=session)
    assert await canceling is False
