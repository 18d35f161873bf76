from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app.db import Database
from app.reconcile.lease import LeaseBusy, LeaseLost, abandoned, acquire


async def expire(database: Database) -> None:
    async with database.write_transaction() as session:
        await session.execute(
            text("UPDATE lease SET expires_at = clock_timestamp() - interval '1 s'")
        )


async def test_of_many_at_once_one_gets_the_lease(database: Database) -> None:
    tries = [acquire(database, "k", "1", owner=f"w{n}", seconds=30) for n in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    held = [result for result in results if not isinstance(result, BaseException)]
    assert len(held) == 1
    assert all(isinstance(r, LeaseBusy) for r in results if r not in held)
    await held[0].release()


async def test_a_released_lease_is_free_at_once_and_its_fence_grows(database: Database) -> None:
    first = await acquire(database, "k", "1", owner="a", seconds=30)
    await first.release()
    second = await acquire(database, "k", "1", owner="b", seconds=30)
    assert second.fence > first.fence
    await second.release()


async def test_a_holder_that_was_overtaken_can_write_nothing(database: Database) -> None:
    stale = await acquire(database, "k", "1", owner="a", seconds=30)
    await expire(database)
    taken = await acquire(database, "k", "1", owner="b", seconds=30)
    with pytest.raises(LeaseLost):
        async with database.write_transaction() as session:
            await stale.guard(session)
    with pytest.raises(LeaseLost):
        stale.check()
    async with database.write_transaction() as session:
        await taken.guard(session)
    await stale.release()
    async with database.write_transaction() as session:
        await taken.guard(session)
    await taken.release()


async def test_nobody_takes_the_lease_while_a_guarded_transaction_is_open(
    database: Database,
) -> None:
    lease = await acquire(database, "k", "1", owner="a", seconds=30)
    await expire(database)
    async with database.write_transaction() as session:
        await lease.guard(session)
        rival = asyncio.create_task(acquire(database, "k", "1", owner="b", seconds=30))
        done, _ = await asyncio.wait({rival}, timeout=0.2)
        assert not done
    await (await rival).release()
    await lease.release()


async def test_a_held_lease_outlives_its_duration(database: Database) -> None:
    lease = await acquire(database, "k", "1", owner="a", seconds=0.3)
    for _ in range(4):
        await asyncio.sleep(0.2)
        with pytest.raises(LeaseBusy):
            await acquire(database, "k", "1", owner="b", seconds=0.3)
    lease.check()
    await lease.release()


async def test_a_lease_that_was_taken_is_noticed_without_a_write(database: Database) -> None:
    lease = await acquire(database, "k", "1", owner="a", seconds=0.3)
    async with database.write_transaction() as session:
        await session.execute(text("UPDATE lease SET owner = 'b'"))
    async with asyncio.timeout(10):
        await lease.lost.wait()
    await lease.release()


async def test_a_lease_whose_holder_died_is_listed(database: Database) -> None:
    lease = await acquire(database, "k", "1", owner="a", seconds=30)
    assert await abandoned(database, "k") == []
    await expire(database)
    assert await abandoned(database, "k") == ["1"]
    await lease.release()
    assert await abandoned(database, "k") == []
