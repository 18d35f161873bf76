from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from app.db import Database
from app.models import Lease, ReconcilerStatus
from app.reconcile.driver import Driver
from app.reconcile.lease import HeldLease, acquire
from app.reconcile.reconciler import Reconciler
from app.reconcile.wake import WakeListener
from tests.reconcile.fakes import Recorder, disconnect_everybody, wake


@asynccontextmanager
async def running(
    database: Database, reconciler: Reconciler, *, lease_seconds: float = 5.0
) -> AsyncIterator[Driver]:
    """A worker with its wake-ups."""
    listener = WakeListener(database.url)
    driver = Driver(database, [reconciler], listener=listener, lease_seconds=lease_seconds)
    stop = asyncio.Event()
    await listener.start()
    await listener.listening()
    work = asyncio.create_task(driver.run(stop))
    try:
        yield driver
    finally:
        stop.set()
        await work
        await listener.close()


async def test_what_a_poll_finds_is_reconciled_until_nothing_is_left(database: Database) -> None:
    recorder = Recorder()
    recorder.keys = ["a", "b", "c"]
    await Driver(database, [recorder]).run_until_idle()
    assert sorted(recorder.done) == ["a", "b", "c"]


async def test_a_wake_starts_a_key_that_no_poll_has_found(database: Database) -> None:
    recorder = Recorder()
    async with running(database, recorder):
        await recorder.until(lambda: recorder.polls > 0)
        await wake(database, "x")
        await recorder.until(lambda: recorder.done == ["x"])


async def test_a_wake_reaches_whoever_works_on_the_key(database: Database) -> None:
    started = asyncio.Event()

    async def work(key: str, lease: HeldLease) -> None:
        if not started.is_set():
            started.set()
            await lease.woken.wait()
            lease.woken.clear()

    recorder = Recorder(work=work)
    recorder.keys = ["x"]
    async with running(database, recorder):
        await started.wait()
        await wake(database, "x")
        await recorder.until(lambda: recorder.done == ["x"])


async def test_a_wake_during_the_last_look_causes_another(database: Database) -> None:
    async def work(key: str, lease: HeldLease) -> None:
        if not recorder.done:
            await wake(database, key)
            await lease.woken.wait()

    recorder = Recorder(work=work)
    async with running(database, recorder):
        await wake(database, "x")
        await recorder.until(lambda: recorder.done == ["x", "x"])


async def test_two_workers_never_act_on_a_key_at_once(database: Database) -> None:
    inside: dict[str, int] = {}
    most = 0

    async def work(key: str, lease: HeldLease) -> None:
        nonlocal most
        async with database.write_transaction() as session:
            await lease.guard(session)
        inside[key] = inside.get(key, 0) + 1
        most = max(most, inside[key])
        await asyncio.sleep(0.01)
        inside[key] -= 1

    one, two = Recorder(work=work, period=0.02), Recorder(work=work, period=0.02)
    one.keys = two.keys = [str(n) for n in range(6)]
    async with running(database, one), running(database, two):
        await one.until(lambda: set(one.done) | set(two.done) == set(one.keys))
        for _ in range(30):
            await wake(database, "0")
        await one.until(lambda: one.done.count("0") + two.done.count("0") > 3)
    assert most == 1


async def test_a_reconciler_is_stopped_when_its_lease_is_taken(database: Database) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def work(key: str, lease: HeldLease) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    recorder = Recorder(work=work)
    recorder.keys = ["x"]
    async with running(database, recorder, lease_seconds=0.3):
        await started.wait()
        async with database.write_transaction() as session:
            await session.execute(text("UPDATE lease SET owner = 'thief'"))
        async with asyncio.timeout(10):
            await stopped.wait()


async def test_an_error_is_kept_in_the_status_and_the_key_is_tried_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    async def work(key: str, lease: HeldLease) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ValueError("the world is upside down")

    recorder = Recorder(work=work)
    recorder.keys = ["x"]
    async with running(database, recorder):
        await recorder.until(lambda: recorder.done == ["x"])
    logged = [r for r in caplog.records if "record x failed" in r.message]
    assert len(logged) == 1
    async with database.read_session() as session:
        status = await session.get_one(ReconcilerStatus, "record")
    assert status.last_error is None
    assert status.detail["reconciled"] == 1
    assert status.last_finished_at is not None


async def _status_with_an_error(database: Database) -> ReconcilerStatus:
    async with asyncio.timeout(30):
        while True:
            async with database.read_session() as session:
                status = await session.get(ReconcilerStatus, "record")
            if status is not None and status.last_error is not None:
                return status
            await asyncio.sleep(0.02)


async def test_a_failing_key_is_named_in_the_status(database: Database) -> None:
    async def work(key: str, lease: HeldLease) -> None:
        recorder.changed.set()
        raise ValueError("the world is upside down")

    recorder = Recorder(work=work)
    recorder.keys = ["x"]
    async with running(database, recorder):
        status = await _status_with_an_error(database)
    assert status.last_error == "ValueError: the world is upside down"
    assert status.detail["errors"] == {"x": "ValueError: the world is upside down"}


async def test_a_stopped_worker_leaves_no_lease(database: Database) -> None:
    started = asyncio.Event()

    async def work(key: str, lease: HeldLease) -> None:
        started.set()
        await asyncio.Event().wait()

    recorder = Recorder(work=work)
    recorder.keys = ["x"]
    async with running(database, recorder, lease_seconds=60):
        await started.wait()
    async with database.read_session() as session:
        assert await session.get(Lease, ("record", "x")) is None


async def test_what_a_dead_worker_held_is_looked_at_again(database: Database) -> None:
    dead = await acquire(database, "record", "x", owner="dead", seconds=60)
    await dead._stop_renewing()
    async with database.write_transaction() as session:
        await session.execute(text("UPDATE lease SET expires_at = clock_timestamp()"))
    recorder = Recorder()
    await Driver(database, [recorder]).run_until_idle()
    assert recorder.done == ["x"]


async def test_work_goes_on_when_every_connection_was_cut(database: Database) -> None:
    recorder = Recorder(period=0.2)
    async with running(database, recorder, lease_seconds=2):
        await recorder.until(lambda: recorder.polls > 0)
        for key in ("a", "b"):
            await disconnect_everybody(database)
            recorder.keys = [key]
            await recorder.until(lambda key=key: key in recorder.done)  # type: ignore[misc]
