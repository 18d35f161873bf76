"""Viewers of one upstream: fast, slow, late and coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from app.errors import ExternalFailure
from app.live.fanout import Batch, Chunk, Fanout, Fanouts


class Tape:
    """A source whose lines a test writes; numbered from 1, and stored from ``kept_from`` on."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.kept_from = 1
        self.follows = 0
        self.followed = 0
        self.ended = False
        self.breaks = 0
        self.gap_next = False
        self._news = asyncio.Event()

    def write(self, *lines: str) -> None:
        self.lines += lines
        self.tell()

    def tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def newest(self) -> int:
        return len(self.lines)

    async def read(self, after: int, until: int, limit: int) -> Chunk[str]:
        await asyncio.sleep(0)
        begin = max(after + 1, self.kept_from)
        numbers = range(begin, min(until, begin + limit - 1) + 1)
        return Chunk([(n, self.lines[n - 1]) for n in numbers], gap=after + 1 < self.kept_from)

    async def follow(self, after: int) -> AsyncGenerator[Chunk[str], None]:
        self.follows += 1
        self.followed += 1
        try:
            while True:
                news = self._news
                if self.breaks:
                    self.breaks -= 1
                    raise ExternalFailure("the engine hung up")
                if len(self.lines) > after:
                    numbered = list(enumerate(self.lines, 1))[after:]
                    gap, self.gap_next = self.gap_next, False
                    after = len(self.lines)
                    yield Chunk(numbered, gap=gap)
                elif self.ended:
                    return
                else:
                    await news.wait()
        finally:
            self.followed -= 1


async def _take(batches: AsyncGenerator[Batch[str], None], lines: int) -> list[Batch[str]]:
    """Batches until that many lines came."""
    taken: list[Batch[str]] = []
    async with asyncio.timeout(30):
        while sum(len(batch.lines) for batch in taken) < lines:
            taken.append(await anext(batches))
    return taken


def _lines(batches: list[Batch[str]]) -> list[str]:
    return [line for batch in batches for line in batch.lines]


async def test_many_viewers_share_one_upstream_which_ends_with_the_last() -> None:
    tape = Tape()
    fanouts = Fanouts[str](lambda _: tape)
    viewers = [fanouts.subscribe("web") for _ in range(20)]
    for viewer in viewers:
        assert await anext(viewer) == Batch((), 0)
    tape.write("one", "two")
    for viewer in viewers:
        assert _lines(await _take(viewer, 2)) == ["one", "two"]
    assert (tape.followed, tape.follows, fanouts.upstreams) == (1, 1, 1)
    for viewer in viewers:
        await viewer.aclose()
    assert (tape.followed, fanouts.upstreams) == (0, 0)


async def test_slow_viewer_is_told_how_many_lines_it_missed_and_holds_up_nobody() -> None:
    tape = Tape()
    fanout = Fanout(tape, keep=10, batch=4)
    async with aclosing(fanout.subscribe()) as slow, aclosing(fanout.subscribe()) as quick:
        await anext(slow)
        await anext(quick)
        for number in range(1, 31):
            tape.write(f"line {number}")
            assert _lines(await _take(quick, 1)) == [f"line {number}"]
        first, *rest = await _take(slow, 10)
        assert first.dropped == 20
        assert first.lines[0] == "line 21"
        assert [batch.dropped for batch in rest] == [0] * len(rest)
        assert rest[-1].cursor == 30


async def test_return_from_every_cursor_while_lines_come_has_no_gap_and_no_repeat() -> None:
    tape = Tape()
    fanout = Fanout(tape, keep=20, batch=7)
    async with aclosing(fanout.subscribe()) as other:  # keeps the upstream open
        await anext(other)
        cursor = 0
        seen: list[str] = []
        writing = asyncio.create_task(_write_slowly(tape, 400))
        while len(seen) < 400:
            async with aclosing(fanout.subscribe(cursor)) as viewer:
                for batch in await _take(viewer, 1):
                    assert not batch.dropped
                    seen += batch.lines
                    cursor = batch.cursor
        await writing
    assert seen == [f"line {number}" for number in range(1, 401)]


async def _write_slowly(tape: Tape, count: int) -> None:
    for number in range(1, count + 1):
        tape.write(f"line {number}")
        await asyncio.sleep(0)


async def test_first_viewer_that_returns_after_lines_were_pruned_is_told_of_the_gap() -> None:
    tape = Tape()
    tape.write(*(f"line {number}" for number in range(1, 11)))
    tape.kept_from = 6
    async with aclosing(Fanout(tape, batch=3).subscribe(2)) as viewer:
        batches = await _take(viewer, 5)
    assert batches[0].gap
    assert _lines(batches) == [f"line {number}" for number in range(6, 11)]


async def test_gap_upstream_is_a_batch_that_says_so_before_the_lines_after_it() -> None:
    tape = Tape()
    async with aclosing(Fanout(tape).subscribe()) as viewer:
        await anext(viewer)
        tape.write("before")
        await _take(viewer, 1)
        tape.gap_next = True
        tape.write("after")
        (batch,) = await _take(viewer, 1)
        assert batch == Batch(["after"], 2, gap=True)


async def test_broken_upstream_is_followed_again_from_where_it_was() -> None:
    tape = Tape()
    async with aclosing(Fanout(tape).subscribe()) as viewer:
        await anext(viewer)
        tape.write("one")
        await _take(viewer, 1)
        tape.breaks = 1
        tape.write("two")
        assert _lines(await _take(viewer, 1)) == ["two"]
    assert tape.follows == 2


async def test_viewers_end_with_the_source_after_its_last_line() -> None:
    tape = Tape()
    tape.write("one")
    async with aclosing(Fanout(tape).subscribe(0)) as viewer:
        tape.write("two")
        tape.ended = True
        tape.tell()
        assert _lines([batch async for batch in viewer]) == ["one", "two"]


async def test_a_bug_of_the_source_reaches_its_viewers() -> None:
    class Broken(Tape):
        async def follow(self, after: int) -> AsyncGenerator[Chunk[str], None]:
            raise ZeroDivisionError
            yield Chunk(())

    async with aclosing(Fanout(Broken()).subscribe(0)) as viewer:
        with pytest.raises(ZeroDivisionError):
            await anext(viewer)
