"""What apps and builds wrote, in the end and while it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from app.builds.log import PROGRESS
from app.models import Build, BuildLogLine, BuildStatus, Instance
from app.ports.logs import LogLevel, LogLine, LogStream, LogWriter, Progress, micros_of
from tests.cli.world import Terminal


class OneBuild:
    """The only build there is."""

    def __init__(self, shop: Terminal) -> None:
        self.database = shop.database

    async def running(self) -> None:
        async with asyncio.timeout(30):
            while True:
                if await self._count():
                    return
                await asyncio.sleep(0.02)

    async def _count(self) -> int:
        async with self.database.read_session() as session:
            running = Build.status == BuildStatus.RUNNING
            return await session.scalar(select(func.count()).where(running)) or 0

    async def write(self, *lines: str) -> None:
        async with self.database.write_transaction() as session:
            build = (await session.scalars(select(Build))).one()
            for number, line in enumerate(lines):
                session.add(BuildLogLine(build_id=build.id, number=number + 1, text=line))
            await session.wake(PROGRESS, build.id)

    async def end(self, shop: Terminal) -> None:
        await shop.stage.finish_builds()
        async with self.database.write_transaction() as session:
            build = (await session.scalars(select(Build))).one()
            build.finished_at = datetime.now(UTC)
            instance = (await session.scalars(select(Instance.id))).all()
            for each in instance:
                await session.wake("instance", each)
            await session.wake(PROGRESS, build.id)
            await session.wake("build", build.id)


@pytest.mark.slow
async def test_build_that_is_under_way_is_shown_as_it_is_written(shop: Terminal) -> None:
    shop.stage.builds.held = True
    build = OneBuild(shop)
    deploying = asyncio.create_task(shop.paas("deploy"))
    await build.running()
    await build.write("Installing", "Packed")
    await build.end(shop)
    ran = await deploying
    assert ran.code == 0, ran
    told = ran.err.splitlines()
    assert told[told.index("-----> Building") :][:3] == [
        "-----> Building",
        "       Installing",
        "       Packed",
    ]
    assert (await shop.ok("logs", "--build")).out == "Installing\nPacked\n"
    lines = (await shop.ok("logs", "--build", "--deployment", "1", "--json")).out.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["Installing", "Packed"]
    assert (await shop.ok("logs", "--build", "-f")).out == "Installing\nPacked\n"


class AppLog:
    """Writes as the worker that collects them."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def write(self, message: str, level: LogLevel | None = None) -> None:
        now = micros_of(datetime.now(UTC))
        line = LogLine(0, now, LogStream.STDOUT, level, "c1", "", message)
        self._writer.append("c1", [line], Progress())


@pytest.fixture
async def log(shop: Terminal) -> AsyncIterator[AppLog]:
    """Of production."""
    found = (await shop.ok("status", "--json")).json
    with contextlib.closing(shop.logs.open_writer(found["id"])) as writer:
        yield AppLog(writer)


async def test_lines_are_chosen_by_what_was_asked_for(shop: Terminal, log: AppLog) -> None:
    for number in range(3):
        log.write(f"request {number}")
    log.write("it broke", LogLevel.ERROR)
    assert (await shop.ok("logs", "-n", "2")).out == "request 2\nit broke\n"
    assert (await shop.ok("logs", "--level", "error", "--since", "1h")).out == "it broke\n"
    assert (await shop.ok("logs", "--search", "REQUEST 1")).out == "request 1\n"
    assert (await shop.ok("logs", "--stream", "stderr")).out == ""
    assert (await shop.ok("logs", "--until", "1h")).out == ""
    stamped = (await shop.ok("logs", "-t", "-n", "1")).out
    assert datetime.fromisoformat(stamped.split()[0]).tzinfo is not None
    found = json.loads((await shop.ok("logs", "--json", "-n", "1")).out)
    assert (found["message"], found["level"], found["stream"]) == ("it broke", "ERROR", "STDOUT")
    assert (await shop.ok("logs", "--env", "staging")).out == ""


@pytest.mark.slow
async def test_following_goes_on_until_it_is_interrupted(shop: Terminal, log: AppLog) -> None:
    log.write("before")
    process = await shop.start("logs", "--follow")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"before\n"
        log.write("after")
        assert await process.stdout.readline() == b"after\n"
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


async def test_time_that_is_none_is_a_usage_error(shop: Terminal) -> None:
    for when in ("yesterday", "10", "10 m"):
        assert (await shop.paas("logs", "--since", when)).code == 2, when
    assert (await shop.paas("logs", "--since", "2026-01-31T12:00:00Z")).code == 0
