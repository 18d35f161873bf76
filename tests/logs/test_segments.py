"""The log on disk: whatever is written, killed, pruned or read, a line is there once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.segments.files import segments
from app.adapters.segments.store import SegmentStore
from app.adapters.segments.writer import SegmentWriter
from app.ports.logs import (
    LogBusy,
    LogFilter,
    LogLevel,
    LogLine,
    LogPage,
    LogStoreFailure,
    LogStream,
    NoSuchCursor,
    Progress,
)

INSTANCE = "ins_web"
KEEP = timedelta(hours=1)
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def line(message: str, *, micros: int = 0, container: str = "c1", **more: object) -> LogLine:
    fields = {"stream": LogStream.STDOUT, "level": None, "deployment_id": "dpl_1", **more}
    return LogLine(0, micros, container_id=container, message=message, **fields)  # type: ignore[arg-type]


def store_in(folder: Path, *, keep_bytes: int = 1 << 20) -> SegmentStore:
    return SegmentStore(folder, keep_bytes=keep_bytes, keep=KEEP, poll_seconds=0.005)


def small_writer(folder: Path, segment_bytes: int = 600) -> SegmentWriter:
    return SegmentWriter(folder / INSTANCE, segment_bytes=segment_bytes, segment_seconds=3600)


def write(folder: Path, messages: Sequence[str], *, segment_bytes: int = 600) -> None:
    with contextlib.closing(small_writer(folder, segment_bytes)) as writer:
        for number, message in enumerate(messages):
            writer.append(
                "c1", [line(message, micros=1000 + number)], Progress(positions={"stdout": message})
            )


def messages(page: LogPage) -> list[str]:
    return [each.message for each in page.lines]


async def everything(store: SegmentStore, filter: LogFilter | None = None) -> list[str]:
    """Paged forward by cursor, seven at a time."""
    found: list[str] = []
    after = None
    while True:
        page = await store.page(INSTANCE, filter or LogFilter(), limit=7, after=after)
        found += messages(page)
        if not page.more_after:
            return found
        after = page.lines[-1].position


# Reading


async def test_pages_go_both_ways_over_segments(tmp_path: Path) -> None:
    wrote = [f"line {number}" for number in range(50)]
    write(tmp_path, wrote)
    assert len(segments(tmp_path / INSTANCE)) > 5
    store = store_in(tmp_path)
    assert await everything(store) == wrote
    found: list[str] = []
    before = None
    while True:
        page = await store.page(INSTANCE, LogFilter(), limit=7, before=before, backward=True)
        found = messages(page) + found
        if not page.more_before:
            break
        before = page.lines[0].position
    assert found == wrote


async def test_a_log_that_never_was_is_empty(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert await store.page(INSTANCE, LogFilter(), limit=5) == LogPage([])
    assert await store.newest(INSTANCE) == 0
    assert await store.instances() == []


async def test_a_position_between_two_borders_is_no_cursor(tmp_path: Path) -> None:
    write(tmp_path, ["one", "two"])
    store = store_in(tmp_path)
    first = (await store.page(INSTANCE, LogFilter(), limit=1)).lines[0].position
    await store.check(INSTANCE, first)
    for position in (first - 1, first + 1, 10**9, -1):
        with pytest.raises(NoSuchCursor):
            await store.page(INSTANCE, LogFilter(), limit=1, after=position)


async def test_an_instance_id_names_no_other_folder(tmp_path: Path) -> None:
    with pytest.raises(NoSuchCursor):
        await store_in(tmp_path).newest("../secrets")


async def test_filters_find_what_they_say(tmp_path: Path) -> None:
    with contextlib.closing(small_writer(tmp_path)) as writer:
        lines = [
            line('say "Hello"', micros=1, stream=LogStream.STDERR, level=LogLevel.ERROR),
            line("hello Wörld", micros=2, container="c2"),
            line("bye", micros=3, deployment_id="dpl_2", level=LogLevel.WARN),
        ]
        writer.append("c1", lines, Progress())
    store = store_in(tmp_path)

    async def found(**conditions: object) -> list[str]:
        return await everything(store, LogFilter(**conditions))  # type: ignore[arg-type]

    assert await found(text="HELLO") == ['say "Hello"', "hello Wörld"]
    assert await found(text='"hello') == ['say "Hello"']
    assert await found(text="wörld") == ["hello Wörld"]
    assert await found(text="dpl_1") == []
    assert await found(levels=frozenset({LogLevel.ERROR, LogLevel.WARN})) == ['say "Hello"', "bye"]
    assert await found(streams=frozenset({LogStream.STDERR})) == ['say "Hello"']
    assert await found(container_id="c2") == ["hello Wörld"]
    assert await found(deployment_id="dpl_2") == ["bye"]


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_page_is_what_a_scan_finds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any page of any log, against the plain list of its lines."""
    folder = tmp_path_factory.mktemp("log")
    texts = data.draw(st.lists(st.text('abk\n"\\\u00e9\x00', max_size=5), max_size=30))
    steps = data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts)))
    micros, lines = 1_700_000_000_000_000, []
    for text, step in zip(texts, steps, strict=True):
        micros += step
        lines.append(line(text, micros=micros))
    with contextlib.closing(small_writer(folder, 300)) as writer:
        while lines:
            size = data.draw(st.integers(1, 4))
            writer.append("c1", lines[:size], Progress())
            lines = lines[size:]
    store = store_in(folder)
    whole = asyncio.run(store.page(INSTANCE, LogFilter(), limit=1000)).lines
    assert [each.message for each in whole] == texts

    moments = st.none() | st.sampled_from([each.timestamp for each in whole] or [NEVER])
    filter = LogFilter(
        since=data.draw(moments),
        until=data.draw(moments),
        text=data.draw(st.text('aBk"\u00e9', max_size=2)),
    )
    cursors = st.none() | st.sampled_from([each.position for each in whole] or [0])
    after, before = data.draw(cursors), data.draw(cursors)
    backward, limit = data.draw(st.booleans()), data.draw(st.integers(0, 6))
    expected = [
        each
        for each in whole
        if filter.accepts(each)
        and (after is None or each.position > after)
        and (before is None or each.position < before)
    ]
    page = asyncio.run(
        store.page(INSTANCE, filter, limit=limit, after=after, before=before, backward=backward)
    )
    if backward:
        assert list(page.lines) == (expected[-limit:] if limit else [])
        assert page.more_before == (len(expected) > limit)
    else:
        assert list(page.lines) == expected[:limit]
        assert page.more_after == (len(expected) > limit)


@pytest.mark.slow
async def test_a_hundred_megabytes_are_searched_in_little_memory(tmp_path: Path) -> None:
    count = 400_000
    with contextlib.closing(small_writer(tmp_path, 4 << 20)) as writer:
        for begin in range(0, count, 500):
            batch = [
                line(f"{number} " + "x" * 240, micros=number + 1, level=LogLevel.INFO)
                for number in range(begin, begin + 500)
            ]
            writer.append("c1", batch, Progress())
    assert sum(each.path.stat().st_size for each in segments(tmp_path / INSTANCE)) > 100 << 20
    store = store_in(tmp_path)
    tracemalloc.start()
    try:
        end = await store.page(INSTANCE, LogFilter(), limit=100, backward=True)
        assert end.lines[-1].message.startswith(f"{count - 1} ")
        middle = LogFilter(since=end.lines[0].timestamp - timedelta(microseconds=200_000))
        page = await store.page(INSTANCE, middle, limit=1)
        assert page.lines[0].message.startswith(f"{count - 100 - 200_000} ")
        rare = await store.page(INSTANCE, LogFilter(text="77777 x"), limit=10)
        assert [each.message.split()[0] for each in rare.lines] == [
            "77777",
            "177777",
            "277777",
            "377777",
        ]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# Writing


async def test_there_is_one_writer(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with contextlib.closing(store.open_writer(INSTANCE)), pytest.raises(LogBusy):
        store.open_writer(INSTANCE)
    store.open_writer(INSTANCE).close()


async def test_progress_survives_segments_and_a_restart(tmp_path: Path) -> None:
    with contextlib.closing(small_writer(tmp_path)) as writer:
        writer.append("quiet", [], Progress(positions={"stderr": "7"}, held={"stderr": b"\xffhal"}))
        writer.append("gone", [], Progress(ended=True))
        for number in range(30):
            writer.append("c1", [line("x")], Progress(positions={"stdout": str(number)}))
        writer.forget("gone")
    with contextlib.closing(small_writer(tmp_path)) as writer:
        assert dict(writer.progress) == {
            "quiet": Progress(positions={"stderr": "7"}, held={"stderr": b"\xffhal"}),
            "c1": Progress(positions={"stdout": "29"}),
        }


async def test_a_full_disk_stores_nothing_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = small_writer(tmp_path)
    writer.append("c1", [line("before")], Progress(positions={"stdout": "1"}))
    real = os.write

    def full(descriptor: int, content: memoryview) -> int:
        real(descriptor, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.adapters.segments.writer.os.write", full)
    with pytest.raises(LogStoreFailure, match="No space left"):
        writer.append("c1", [line("lost")], Progress(positions={"stdout": "2"}))
    monkeypatch.undo()
    assert writer.progress["c1"].positions == {"stdout": "1"}
    writer.append("c1", [line("after")], Progress(positions={"stdout": "2"}))
    writer.close()
    assert await everything(store_in(tmp_path)) == ["before", "after"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 400), rubbish=st.binary(max_size=20))
def test_a_writer_killed_at_any_byte_is_gone_on_from(
    tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes
) -> None:
    """The file ends anywhere, or in what the disk made of it: what counts is whole batches."""
    folder = tmp_path_factory.mktemp("log")
    with contextlib.closing(small_writer(folder, 10_000)) as writer:
        for number in range(5):
            batch = [line(f"{number}a"), line(f"{number}b {{}}")]
            writer.append("c1", batch, Progress(positions={"stdout": str(number)}))
    path = segments(folder / INSTANCE)[-1].path
    size = path.stat().st_size
    os.truncate(path, max(0, size - cut))
    with path.open("ab") as file:
        file.write(rubbish)
    store = store_in(folder)
    seen = asyncio.run(everything(store))
    with contextlib.closing(small_writer(folder, 10_000)) as writer:
        done = int(writer.progress["c1"].positions["stdout"]) if writer.progress else -1
        for number in range(done + 1, 5):
            batch = [line(f"{number}a"), line(f"{number}b {{}}")]
            writer.append("c1", batch, Progress(positions={"stdout": str(number)}))
    whole = [f"{number}{part}" for number in range(5) for part in ("a", "b {}")]
    assert seen == whole[: len(seen)]
    assert len(seen) == 2 * (done + 1)
    assert asyncio.run(everything(store)) == whole


# Following


@dataclass
class Reader:
    messages: list[str] = field(default_factory=list)
    gaps: int = 0
    position: int = 0


async def follow(store: SegmentStore, reader: Reader, until: str) -> None:
    async with (
        asyncio.timeout(10),
        contextlib.aclosing(store.follow(INSTANCE, reader.position)) as news,
    ):
        async for each in news:
            reader.gaps += each.gap
            reader.messages += [line.message for line in each.lines]
            if each.lines:
                reader.position = each.lines[-1].position
            if until in reader.messages:
                return


async def test_a_tail_sees_every_line_once_over_segments_and_restarts(tmp_path: Path) -> None:
    store, reader = store_in(tmp_path), Reader()
    wrote = [f"line {number}" for number in range(60)]
    tail = asyncio.create_task(follow(store, reader, wrote[29]))
    for message in wrote[:30]:
        write(tmp_path, [message], segment_bytes=400)
        await asyncio.sleep(0)
    await tail
    write(tmp_path, wrote[30:], segment_bytes=400)
    await follow(store, reader, wrote[-1])
    assert reader.messages == wrote
    assert reader.gaps == 0


async def test_a_tail_shows_nothing_of_a_batch_that_is_not_whole(tmp_path: Path) -> None:
    store, reader = store_in(tmp_path), Reader()
    write(tmp_path, ["one"])
    path = segments(tmp_path / INSTANCE)[-1].path
    with path.open("ab") as file:
        file.write(b'[5,0,0,"c1","","two"]\n')
    await follow(store, reader, "one")
    write(tmp_path, ["two again"])
    await follow(store, reader, "two again")
    assert reader.messages == ["one", "two again"]


async def test_a_batch_larger_than_a_read_is_one(tmp_path: Path) -> None:
    store, reader = store_in(tmp_path), Reader()
    with contextlib.closing(small_writer(tmp_path, 1 << 22)) as writer:
        writer.append("c1", [line("x" * 100) for _ in range(9000)] + [line("end")], Progress())
    await follow(store, reader, "end")
    assert len(reader.messages) == 9001


async def test_what_was_pruned_unread_is_a_gap(tmp_path: Path) -> None:
    store, reader = store_in(tmp_path), Reader()
    write(tmp_path, ["first"])
    await follow(store, reader, "first")
    write(tmp_path, [f"line {number}" for number in range(60)])
    await store.prune(INSTANCE, max_bytes=1000, max_age=KEEP)
    await follow(store, reader, "line 59")
    assert reader.gaps == 1
    assert len(reader.messages) < 30
    page = await store.page(INSTANCE, LogFilter(), limit=1, after=_first_position(tmp_path) - 1)
    assert page.gap


def _first_position(folder: Path) -> int:
    return segments(folder / INSTANCE)[0].base


# Pruning


async def test_the_oldest_go_until_it_is_small_enough(tmp_path: Path) -> None:
    wrote = [f"line {number}" for number in range(60)]
    write(tmp_path, wrote)
    store = store_in(tmp_path)
    freed = await store.prune(INSTANCE, max_bytes=2000, max_age=KEEP)
    left = sum(each.path.stat().st_size for each in segments(tmp_path / INSTANCE))
    assert freed > 0
    assert left <= 2000
    kept = await everything(store)
    assert kept == wrote[-len(kept) :]
    with contextlib.closing(small_writer(tmp_path)) as writer:
        assert writer.progress["c1"].positions == {"stdout": "line 59"}


async def test_what_is_too_old_goes_also_from_a_log_that_nobody_writes(tmp_path: Path) -> None:
    old = time.time() - 7200
    with contextlib.closing(small_writer(tmp_path)) as writer:
        for number in range(20):
            writer.append("c1", [line("old", micros=int(old * 1e6) + number)], Progress(ended=True))
    for each in segments(tmp_path / INSTANCE):
        os.utime(each.path, (old, old))
    store = store_in(tmp_path)
    newest = await store.newest(INSTANCE)
    await store.prune(INSTANCE, max_bytes=1 << 20, max_age=KEEP)
    assert await everything(store) == []
    assert await store.newest(INSTANCE) > newest
    with contextlib.closing(small_writer(tmp_path)) as writer:
        assert writer.progress["c1"].ended


async def test_a_deleted_log_is_gone(tmp_path: Path) -> None:
    write(tmp_path, ["one"])
    store = store_in(tmp_path)
    assert await store.instances() == [INSTANCE]
    await store.delete(INSTANCE)
    assert await store.instances() == []
    await store.delete(INSTANCE)
