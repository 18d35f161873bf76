"""The database stops answering in the middle of a push."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import OperationalError

from app.access.find import Place
from app.db import Database
from app.models import DeploymentStatus, PushStatus
from app.ports.repositories import ReceivedPush, RefResult, RefUpdate
from app.pushes import progress, service
from app.pushes.handler import Pushes, PushHandler
from app.refs import ZERO
from tests.conftest import free_port
from tests.git.world import GitWorld
from tests.pushes.test_recovery import _recover, _stored

MAIN = "refs/heads/main"


class Terminal:
    """A client that keeps what it is shown."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.lines: list[str] = []

    async def say(self, line: str) -> None:
        self.lines.append(line)


async def _push(
    world: GitWorld, sha: str, database: Database, *options: str
) -> tuple[Sequence[RefResult], Terminal]:
    pushes = Pushes(
        database,
        world.repositories,
        world.wiring.settings,
        world.wiring.secret_box,
        world.wiring.wakes,
    )
    place = Place(world.placed.organization, world.placed.project, app=world.placed.app)
    terminal = Terminal()
    push = ReceivedPush(
        updates=[RefUpdate(MAIN, ZERO, sha)],
        options=dict.fromkeys(options, ""),
        atomic=False,
        client=terminal,
    )
    return await PushHandler(pushes, world.actor, place)(push), terminal


async def test_push_is_refused_and_nothing_changed_when_it_cannot_be_recorded(
    world: GitWorld,
) -> None:
    _, sha = await _stored(world)
    gone = Database(f"postgresql://x:x@127.0.0.1:{free_port()}/x")
    results, _ = await _push(world, sha, gone)
    assert [r.error is not None and "nothing was changed" in r.error for r in results] == [True]
    assert await world.repositories.read_ref(world.key, MAIN) is None


async def test_push_whose_ref_moved_stands_and_is_deployed_once_the_database_is_back(
    world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sha = await _stored(world)
    with monkeypatch.context() as broken:
        broken.setattr(service, "_conclude", _fail)
        results, terminal = await _push(world, sha, world.database)
    assert [r.error for r in results] == [None]
    assert any("queued once the database is back" in line for line in terminal.lines)
    assert [p.status for p in await world.pushes() if p.ref == MAIN] == [PushStatus.RECEIVED]
    await _recover(world)
    assert [d.commit_sha for d in await world.deployments()] == [sha]


async def test_progress_waits_for_the_database_and_goes_on(
    world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sha = await _stored(world)
    await _push(world, sha, world.database, "no-wait")
    (deployment,) = await world.deployments()
    flaky = _Flaky(world.database, failures=3)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.01)
    terminal = Terminal()
    await world.set_deployment(deployment, status=DeploymentStatus.SUCCEEDED)
    pushes = [push.id for push in await world.pushes()]
    await progress.follow(
        flaky,  # type: ignore[arg-type]
        world.wiring.wakes,
        pushes,
        terminal,
        ingress_port=80,
        unseen=False,
    )
    assert terminal.lines[0].endswith("database does not answer; waiting for it.")
    assert sum("does not answer" in line for line in terminal.lines) == 1
    assert terminal.lines[-1].startswith("-----> Live at http://")
    assert flaky.failures == 0


class _Flaky:
    def __init__(self, database: Database, failures: int) -> None:
        self._database = database
        self.failures = failures

    @asynccontextmanager
    async def read_session(self):  # type: ignore[no-untyped-def]
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError
        async with self._database.read_session() as session:
            yield session


async def _fail(*_: object) -> None:
    raise OperationalError("COMMIT", None, ConnectionResetError())
