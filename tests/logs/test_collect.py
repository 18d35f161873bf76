"""The collector on the simulated engine: every line once, whoever dies, and what is lost is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from app import faults
from app.adapters.memory.cluster import Copy
from app.adapters.memory.scheduler import MemoryScheduler
from app.adapters.segments.store import SegmentStore
from app.crypto import SecretBox
from app.db import Database
from app.ids import new_id
from app.logs import container
from app.logs.collect import CopiesReconciler, LogPruneReconciler, LogsReconciler
from app.models import Deployment, DeploymentStatus, DeploymentTrigger, Instance
from app.ports.logs import LogFilter, LogLevel, LogLine, LogStream, Progress
from app.ports.scheduler import JobRef
from app.reconcile.driver import Driver
from app.reconcile.lease import acquire
from app.reconcile.wake import WakeListener
from app.settings import Settings
from jobs.render import Job
from tests.factories import Placed, make_build, make_instance, make_release

REF = JobRef("acme", "storefront-web-production")


class Killed(BaseException):
    """As a killed process: nothing is caught, nothing is tidied but what the kernel tidies."""


@dataclass
class Room:
    database: Database
    scheduler: MemoryScheduler
    store: SegmentStore
    web: Placed
    job: Job

    @property
    def copy(self) -> Copy:
        return self.scheduler.cluster.jobs[REF].copies[-1]

    @property
    def collector(self) -> LogsReconciler:
        return LogsReconciler(self.database, self.scheduler, self.store)

    async def start_app(self, release: str = "") -> Copy:
        meta = {**self.job["Meta"], **({"release": release} if release else {})}
        held = self.scheduler.cluster.jobs.get(REF)
        await self.scheduler.submit(
            {**self.job, "Meta": meta},
            expected_index=held.modify_index if held else 0,
        )
        await self.until(lambda: self.copy.allocation.healthy)
        return self.copy

    @staticmethod
    async def until(met: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not met():  # noqa: ASYNC110 - the simulation tells nobody
                await asyncio.sleep(0.005)

    async def lines(self) -> Sequence[LogLine]:
        page = await self.store.page(self.web.instance.id, LogFilter(), limit=10_000)
        return page.lines

    async def messages(self) -> list[str]:
        return [line.message for line in await self.lines()]

    async def until_last(self, message: str) -> list[str]:
        async with asyncio.timeout(10):
            while not (found := await self.messages()) or found[-1] != message:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return found

    @asynccontextmanager
    async def collecting(self, *, workers: int = 1) -> AsyncIterator[None]:
        listener = WakeListener(self.database.url)
        await listener.start()
        await listener.listening()
        stop = asyncio.Event()
        kinds = (CopiesReconciler(self.database, self.scheduler), self.collector)
        drivers = [
            Driver(self.database, kinds, listener=listener, lease_seconds=2.0)
            for _ in range(workers)
        ]
        tasks = [asyncio.create_task(driver.run(stop)) for driver in drivers]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)
            await listener.close()


@pytest.fixture
async def room(database: Database, tmp_path: Path, sample_job: Job) -> AsyncIterator[Room]:
    web = await make_instance(database)
    scheduler = MemoryScheduler()
    await scheduler.ensure_namespace("acme")
    store = SegmentStore(
        tmp_path / "logs", keep_bytes=1 << 20, keep=timedelta(hours=1), poll_seconds=0.005
    )
    yield Room(database, scheduler, store, web, sample_job)
    await scheduler.close()


async def test_what_a_container_writes_is_there_with_where_it_came_from(room: Room) -> None:
    copy = await room.start_app()
    async with room.collecting():
        copy.write("plain\n[warn] careful\npar")
        await room.until_last("[warn] careful")
        copy.write("tial\n")
        await room.until_last("partial")
    started, plain, careful, partial = await room.lines()
    assert started.message.startswith("starting")
    assert (plain.level, careful.level) == (None, LogLevel.WARN)
    assert {line.container_id for line in (started, partial)} == {copy.allocation.id}
    assert partial.stream is LogStream.STDOUT


async def test_a_new_copy_is_followed_as_soon_as_it_is_there(room: Room) -> None:
    async with room.collecting():
        copy = await room.start_app()
        copy.write("hello\n")
        await room.until_last("hello")


async def test_there_is_one_upstream_for_a_container_whatever_wakes(room: Room) -> None:
    copy = await room.start_app()
    async with room.collecting(workers=2):
        for number in range(5):
            async with room.database.write_transaction() as session:
                await session.wake("logs", room.web.instance.id)
            copy.write(f"{number}\n")
            await room.until_last(str(number))
    assert room.scheduler.follows == 1


async def test_the_last_lines_of_a_crashed_container_are_there_after_it_is_gone(room: Room) -> None:
    copy = await room.start_app()
    async with room.collecting():
        copy.write("serving\n")
        await room.until_last("serving")
        copy.write("Traceback (most recent call last):\nand no newline")
        await room.scheduler.stop(REF, purge=True)
        found = await room.until_last("and no newline")
    assert found[-2:] == ["Traceback (most recent call last):", "and no newline"]
    assert REF not in room.scheduler.cluster.jobs


async def test_lines_written_while_nobody_collects_are_not_lost(room: Room) -> None:
    copy = await room.start_app()
    for number in range(4):
        async with room.collecting():
            copy.write(f"{number} while\n")
            await room.until_last(f"{number} while")
        copy.write(f"{number} between\nbeg")
        copy.write("un\n")
    async with room.collecting():
        found = await room.until_last("begun")
    expected = [x for n in range(4) for x in (f"{n} while", f"{n} between", "begun")]
    assert found[1:] == expected


@pytest.mark.parametrize("step", container.STEPS)
@pytest.mark.parametrize("occurrence", [1, 3])
async def test_killed_at_a_step_the_next_goes_on_without_gap_or_repeat(
    room: Room, monkeypatch: pytest.MonkeyPatch, step: str, occurrence: int
) -> None:
    occurrence = 1 if step == "logs.ended" else occurrence
    copy = await room.start_app()
    left = occurrence

    def checkpoint(name: str) -> None:
        nonlocal left
        left -= name == step
        if name == step and left == 0:
            raise Killed

    monkeypatch.setattr(faults, "checkpoint", checkpoint)
    writing = asyncio.create_task(_write_and_end(room, copy))
    killed = 0
    while True:
        try:
            await _collect_once(room)
            break
        except Killed:
            killed += 1
    await writing
    assert killed == 1
    expected = [f"line {number}" for number in range(10)] + ["the end"]
    assert (await room.messages())[1:] == expected


async def _write_and_end(room: Room, copy: Copy) -> None:
    """In pieces that end within lines, without a last newline."""
    text = "".join(f"line {number}\n" for number in range(10)) + "the end"
    for begin in range(0, len(text), 9):
        copy.write(text[begin : begin + 9])
        await asyncio.sleep(0.001)
    room.scheduler.cluster.stop(REF, purge=False)


async def _collect_once(room: Room) -> None:
    """A worker's life: until its container's end, or its own."""
    with closing(room.store.open_writer(room.web.instance.id)) as writer:
        ended = writer.progress.get(room.copy.allocation.id, Progress()).ended
        if not ended:
            await container.Container(
                room.scheduler, writer, REF, room.copy.allocation.id, "", lambda: None
            ).collect()


async def test_what_the_engine_dropped_is_said_where_it_is_missing(room: Room) -> None:
    copy = await room.start_app()
    async with room.collecting():
        copy.write("before\n")
        await room.until_last("before")
    copy.write("lost\n" * 1000)
    copy.drop(len(copy.output))
    copy.write("after\n")
    async with room.collecting():
        await room.until_last("after")
    before, said, after = (await room.lines())[-3:]
    assert (before.message, after.message) == ("before", "after")
    assert (said.stream, said.level) == (LogStream.SYSTEM, LogLevel.WARN)
    assert "5,000 bytes" in said.message


async def test_a_container_that_vanished_unread_is_said(room: Room) -> None:
    copy = await room.start_app()
    async with room.collecting():
        copy.write("seen\n")
        await room.until_last("seen")
    await room.scheduler.stop(REF, purge=True)
    second = await room.start_app()
    async with room.collecting():
        second.write("new\n")
        said = "This container was removed before all that it wrote had been read: its last lines are lost."
        async with asyncio.timeout(10):
            while not {"new", said} <= set(await room.messages()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_an_engine_that_is_away_is_waited_for(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "_FIRST_PAUSE", 0.01)
    copy = await room.start_app()
    async with room.collecting():
        copy.write("before\n")
        await room.until_last("before")
        room.scheduler.down = True
        copy.write("meanwhile\n")
        await asyncio.sleep(0.05)
        room.scheduler.down = False
        copy.write("after\n")
        assert (await room.until_last("after"))[-3:] == ["before", "meanwhile", "after"]


async def test_a_line_names_the_deployment_of_its_container(
    room: Room, secret_box: SecretBox
) -> None:
    deployment = await make_deployment(room, secret_box)
    copy = await room.start_app(str(deployment.release_id))
    async with room.collecting():
        copy.write("hello\n")
        await room.until_last("hello")
    assert {line.deployment_id for line in await room.lines()} == {deployment.id}


async def test_a_removed_instance_takes_its_log_along(room: Room) -> None:
    copy = await room.start_app()
    async with room.collecting():
        copy.write("hello\n")
        await room.until_last("hello")
        async with room.database.write_transaction() as session:
            await session.execute(delete(Instance))
            await session.wake("logs", room.web.instance.id)
        async with asyncio.timeout(10):
            while await room.store.instances():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_pruning_removes_the_log_of_an_instance_that_is_gone(room: Room) -> None:
    for name in ("ins_gone", room.web.instance.id):
        room.store.open_writer(name).close()
    prune = LogPruneReconciler(room.database, room.store, Settings())
    lease = await acquire(room.database, "log-prune", "all", owner="test", seconds=5)
    for key in await prune.pending():
        await prune.reconcile(key, lease)
    await lease.release()
    assert await room.store.instances() == [room.web.instance.id]


async def make_deployment(room: Room, box: SecretBox) -> Deployment:
    build = await make_build(room.database, room.web.app)
    release = await make_release(room.database, box, room.web.instance, build)
    async with room.database.write_transaction() as session:
        row = Deployment(
            id=new_id("dpl"),
            instance_id=room.web.instance.id,
            number=1,
            status=DeploymentStatus.SUCCEEDED,
            trigger=DeploymentTrigger.API,
            release_id=release.id,
        )
        session.add(row)
    return row
