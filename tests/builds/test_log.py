"""Build log lines: safe to show, without secrets, in batches, within limits."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import select

from app.builds import log as build_log_module
from app.builds.log import LINE_LIMIT, LogUnavailable, build_log, printable
from app.db import WAKE_CHANNEL, Database
from app.models import BuildLogLine, BuildStatus, FailureCode
from app.ports.builder import BuildFailed
from app.reconcile.lease import LeaseLost
from tests.builds.waiting import leased
from tests.factories import make_build, make_instance


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("a\x00b\x08c\x9bd", "abcd"),
        ("tab\tend  ", "tab    end"),
        ("\u202egnp.exe", "gnp.exe"),
        ("x" * (LINE_LIMIT + 1), "x" * LINE_LIMIT + "… (cut)"),
    ],
)
def test_line_is_safe_in_a_terminal(raw: str, shown: str) -> None:
    assert printable(raw) == shown


async def _build_id(database: Database) -> str:
    placed = await make_instance(database)
    return (await make_build(database, placed.app, status=BuildStatus.RUNNING)).id


async def _stored(database: Database, build_id: str) -> list[tuple[int, str]]:
    async with database.read_session() as session:
        rows = await session.execute(
            select(BuildLogLine.number, BuildLogLine.text)
            .where(BuildLogLine.build_id == build_id)
            .order_by(BuildLogLine.number)
        )
        return [(number, text) for number, text in rows]


async def test_lines_come_soon_and_wake_those_who_follow(
    database: Database, database_url: str
) -> None:
    build_id = await _build_id(database)
    woken = asyncio.Event()
    listener = await asyncpg.connect(database_url)
    await listener.add_listener(WAKE_CHANNEL, lambda *_: woken.set())
    async with (
        leased(database, build_id) as lease,
        build_log(database, lease, build_id, secrets=(), max_lines=100) as log,
    ):
        await log.write("first")
        await asyncio.wait_for(woken.wait(), 10)
        assert await _stored(database, build_id) == [(1, "first")]
    await listener.close()


async def test_values_of_variables_are_hidden(database: Database) -> None:
    build_id = await _build_id(database)
    secrets = ["hunter22", "hunter22-long", "-----BEGIN\nc2VjcmV0LWxpbmU\n-----END", "1"]
    async with (
        leased(database, build_id) as lease,
        build_log(database, lease, build_id, secrets=secrets, max_lines=100) as log,
    ):
        await log.write("token=hunter22-long and hunter22 and 1")
        await log.write("key: c2VjcmV0LWxpbmU")
    assert [text for _, text in await _stored(database, build_id)] == [
        "token=[hidden] and [hidden] and 1",
        "key: [hidden]",
    ]


async def test_a_line_too_many_fails_the_build_with_the_number(database: Database) -> None:
    build_id = await _build_id(database)
    async with (
        leased(database, build_id) as lease,
        build_log(database, lease, build_id, secrets=(), max_lines=120) as log,
    ):
        for number in range(120):
            await log.write(str(number))
        with pytest.raises(BuildFailed, match="120 lines") as raised:
            await log.write("one too many")
        await log.note("the platform's last word")
    assert raised.value.code is FailureCode.BUILD_LIMIT
    stored = await _stored(database, build_id)
    assert [number for number, _ in stored] == list(range(1, 122))


async def test_another_attempt_goes_on_numbering(database: Database) -> None:
    build_id = await _build_id(database)
    async with leased(database, build_id) as lease:
        for line in ("before", "after"):
            async with build_log(database, lease, build_id, secrets=(), max_lines=9) as log:
                await log.write(line)
    assert await _stored(database, build_id) == [(1, "before"), (2, "after")]


async def test_worker_that_lost_its_lease_writes_nothing(database: Database) -> None:
    build_id = await _build_id(database)
    async with leased(database, build_id) as lease:
        await lease.release()
        with pytest.raises(LeaseLost):
            async with build_log(database, lease, build_id, secrets=(), max_lines=9) as log:
                await log.write("late")
    assert await _stored(database, build_id) == []


async def test_trouble_in_the_background_stops_the_build_at_its_next_line(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_log_module, "BATCH_SECONDS", 0)
    build_id = await _build_id(database)
    async with leased(database, build_id) as lease:
        with pytest.raises(LogUnavailable):  # noqa: PT012
            async with build_log(database, lease, build_id, secrets=(), max_lines=9**9) as log:
                await database.close()
                log._database = Database("postgresql://nobody@127.0.0.1:1/none")
                while True:
                    await log.write("more")
                    await asyncio.sleep(0.01)
