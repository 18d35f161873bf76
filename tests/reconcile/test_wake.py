from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.db import Database
from app.reconcile.wake import WakeListener
from tests.reconcile.fakes import disconnect_everybody, wake


@pytest.fixture
async def listener(database: Database) -> AsyncIterator[WakeListener]:
    listener = WakeListener(database.url)
    await listener.start()
    await listener.listening()
    yield listener
    await listener.close()


async def test_a_committed_wake_is_heard_by_its_key_alone(
    database: Database, listener: WakeListener
) -> None:
    with (
        listener.subscribe("deployment", "1") as one,
        listener.subscribe("deployment", "2") as two,
    ):
        await wake(database, "1", "deployment")
        assert await one.wait(30)
        assert not await two.wait(0.1)
        assert not await one.wait(0.1), "a wake counts once"


async def test_a_wake_of_a_transaction_that_failed_is_not_heard(
    database: Database, listener: WakeListener
) -> None:
    with listener.subscribe("deployment", "1") as one:
        with pytest.raises(ValueError, match="undone"):
            await _wake_and_fail(database)
        assert not await one.wait(0.1)


async def test_after_a_broken_connection_everybody_counts_as_woken(
    database: Database, listener: WakeListener
) -> None:
    with listener.subscribe("deployment", "1") as one:
        await disconnect_everybody(database)
        assert await one.wait(30)
        await wake(database, "1", "deployment")
        assert await one.wait(30)


async def _wake_and_fail(database: Database) -> None:
    async with database.write_transaction() as session:
        await session.wake("deployment", "1")
        raise ValueError("undone")
