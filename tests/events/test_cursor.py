from __future__ import annotations

import asyncio
import contextlib

import pytest

from app.db import Database
from app.events import queries, service
from app.models import EventKind
from app.reconcile.wake import WakeListener
from tests.factories import make_instance


async def _numbers(database: Database, cursor: int, instance_id: str) -> list[tuple[int, object]]:
    async with database.read_session() as session:
        found = await queries.after(session, cursor, instance_id=instance_id)
    return [(event.id, event.payload["number"]) for event in found]


async def test_the_transaction_that_began_first_and_ends_last_is_read_after_the_cursor(
    database: Database,
) -> None:
    instance_id = (await make_instance(database)).instance.id
    slow_has_told, may_commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.write_transaction() as session:
            await service.tell_of_instance(
                session, EventKind.DEPLOYMENT_CREATED, instance_id, {"number": "slow"}
            )
            slow_has_told.set()
            await may_commit.wait()

    task = asyncio.create_task(slow())
    await slow_has_told.wait()
    async with database.write_transaction() as session:
        await service.tell_of_instance(
            session, EventKind.DEPLOYMENT_CREATED, instance_id, {"number": "quick"}
        )
    ((cursor, first),) = await _numbers(database, 0, instance_id)
    assert first == "quick"
    may_commit.set()
    await task
    assert [number for _, number in await _numbers(database, cursor, instance_id)] == ["slow"]


@pytest.mark.slow
async def test_a_reader_beside_many_writers_misses_and_repeats_nothing(database: Database) -> None:
    instance_id = (await make_instance(database)).instance.id
    writers, each = 8, 25

    async def write(writer: int) -> None:
        for number in range(each):
            async with database.write_transaction() as session:
                await service.tell_of_instance(
                    session,
                    EventKind.SCALE_CHANGED,
                    instance_id,
                    {"number": writer * each + number},
                )

    seen: list[object] = []
    cursor, writing = 0, [asyncio.create_task(write(writer)) for writer in range(writers)]
    while True:
        ended = all(task.done() for task in writing)
        found = await _numbers(database, cursor, instance_id)
        seen += [number for _, number in found]
        cursor = found[-1][0] if found else cursor
        if ended and not found:
            break
    await asyncio.gather(*writing)
    assert len(seen) == writers * each
    assert set(seen) == set(range(writers * each))


async def test_a_transaction_that_fails_tells_nothing_and_one_that_commits_wakes(
    database: Database,
) -> None:
    placed = await make_instance(database)
    listener = WakeListener(database.url)
    await listener.start()
    await listener.listening()
    with (
        listener.subscribe(service.WAKE, placed.instance.id) as instance,
        listener.subscribe(service.WAKE, placed.organization.id) as organization,
    ):
        with contextlib.suppress(ZeroDivisionError):
            async with database.write_transaction() as session:
                await service.tell_of_instance(
                    session, EventKind.SCALE_CHANGED, placed.instance.id, {"number": 1}
                )
                raise ZeroDivisionError
        assert not await instance.wait(0.1)
        assert await _numbers(database, 0, placed.instance.id) == []
        async with database.write_transaction() as session:
            await service.tell_of_instance(
                session, EventKind.SCALE_CHANGED, placed.instance.id, {"number": 2}
            )
        assert await instance.wait(30)
        assert await organization.wait(30)
    await listener.close()
