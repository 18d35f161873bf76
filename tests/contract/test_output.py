"""What copies write, followed on every engine: resumed without gap or repeat, and read to the end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest

from app.ports.scheduler import AllocationState, Output, OutputGone
from tests.contract.test_scheduler import succeeded
from tests.contract.world import Behaviour, SampleJob


@dataclass
class Heard:
    """What was read so far of each stream, and where to go on."""

    text: dict[Output, bytes] = field(default_factory=lambda: dict.fromkeys(Output, b""))
    positions: dict[Output, str] = field(default_factory=dict)
    lost: bool = False

    def numbers(self, stream: Output) -> list[int]:
        """Of the whole lines that a chatty copy wrote."""
        lines = self.text[stream].decode().split("\n")[:-1]
        return [int(line.split()[1]) for line in lines if line.startswith(("out ", "err "))]


async def listen(
    sample: SampleJob, copy_id: str, heard: Heard, *, chunks: int | None = None, follow: bool = True
) -> None:
    """So many chunks, or until it ends by itself."""
    found = sample.scheduler.follow_output(sample.ref, copy_id, heard.positions, follow=follow)
    async with asyncio.timeout(30), contextlib.aclosing(found):
        async for chunk in found:
            heard.text[chunk.stream] += chunk.data
            heard.positions[chunk.stream] = chunk.position
            heard.lost = heard.lost or chunk.lost
            if chunks is not None:
                chunks -= 1
                if not chunks:
                    return


async def only_copy(sample: SampleJob) -> str:
    (copy,) = await sample.scheduler.list_copies(sample.ref)
    return copy.id


async def test_a_copys_output_is_read_from_its_beginning(sample: SampleJob) -> None:
    await sample.submit(1, secrets={"GREETING": "hello"})
    await sample.until(succeeded(sample, 1))
    heard = Heard()
    await listen(sample, await only_copy(sample), heard, follow=False)
    assert heard.text[Output.STDOUT].startswith(b"starting healthy greeting=hello\n")
    assert not heard.lost


async def test_reading_goes_on_at_a_position_without_gap_or_repeat(sample: SampleJob) -> None:
    await sample.submit(1, Behaviour.CHATTY)
    await sample.until(succeeded(sample, 1))
    copy_id = await only_copy(sample)
    heard = Heard()
    for chunks in (1, 3, 2, 5, 1, 4):
        await listen(sample, copy_id, heard, chunks=chunks)
    for stream in Output:
        numbers = heard.numbers(stream)
        assert numbers == list(range(len(numbers)))
    assert len(heard.numbers(Output.STDOUT)) > 3
    assert not heard.lost


async def test_what_there_is_now_is_read_without_waiting(sample: SampleJob) -> None:
    await sample.submit(1, Behaviour.CHATTY)
    await sample.until(succeeded(sample, 1))
    copy_id = await only_copy(sample)
    heard = Heard()
    await listen(sample, copy_id, heard, follow=False)
    first = len(heard.numbers(Output.STDOUT))
    async with asyncio.timeout(20):
        while len(heard.numbers(Output.STDOUT)) == first:
            await asyncio.sleep(0.02)
            await listen(sample, copy_id, heard, follow=False)
    numbers = heard.numbers(Output.STDOUT)
    assert numbers == list(range(len(numbers)))


async def test_the_last_words_of_a_crashed_copy_can_be_read(sample: SampleJob) -> None:
    await sample.submit(1, Behaviour.CRASHES)
    seen = await sample.until(
        lambda seen: any(copy.state is AllocationState.EXITED for copy in seen.allocations),
        seconds=sample.world.gives_up_seconds + 30,
    )
    crashed = next(copy for copy in seen.allocations if copy.state is AllocationState.EXITED)
    heard = Heard()
    await listen(sample, crashed.id, heard, follow=False)
    assert b"boom: no database\n" in b"".join(heard.text.values())
    listed = {copy.id: copy for copy in await sample.scheduler.list_copies(sample.ref)}
    assert listed[crashed.id].ended
    assert listed[crashed.id].release_id == sample.release_id(1)


async def test_what_a_copy_says_while_it_is_removed_is_followed_to_the_end(
    sample: SampleJob,
) -> None:
    """Followed until it ends, or falls silent after it has."""
    await sample.submit(1, Behaviour.CHATTY)
    await sample.until(succeeded(sample, 1))
    copy_id = await only_copy(sample)
    heard = Heard()
    following = asyncio.create_task(listen(sample, copy_id, heard))
    await sample.scheduler.stop(sample.ref, purge=True)
    async with asyncio.timeout(30):
        while any(  # noqa: ASYNC110 - no engine tells more than this
            not copy.ended for copy in await sample.scheduler.list_copies(sample.ref)
        ):
            await asyncio.sleep(0.05)
    await asyncio.wait({following}, timeout=1)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    with contextlib.suppress(OutputGone):
        await listen(sample, copy_id, heard, follow=False)
    for stream in Output:
        numbers = heard.numbers(stream)
        assert numbers == list(range(len(numbers)))
    assert not heard.lost


async def test_a_copy_that_never_was_has_no_output(sample: SampleJob) -> None:
    await sample.submit(1)
    with pytest.raises(OutputGone):
        await listen(sample, "5e4d2c1b-0000-4000-8000-000000000000", Heard())


async def test_watching_copies_tells_of_each_that_comes_ends_or_goes(sample: SampleJob) -> None:
    before = await sample.scheduler.watch_copies("", timeout=0)
    assert not [ref for ref, _ in before.copies if ref == sample.ref]
    await sample.submit(1)
    cursor, seen = before.cursor, before
    async with asyncio.timeout(30):
        while not any(ref == sample.ref for ref, _ in seen.copies):
            seen = await sample.scheduler.watch_copies(cursor, timeout=20)
            cursor = seen.cursor
    await sample.until(succeeded(sample, 1))
    copy_id = await only_copy(sample)
    assert seen.copies[sample.ref, copy_id] is False
    await sample.scheduler.stop(sample.ref, purge=True)
    async with asyncio.timeout(30):
        while seen.copies.get((sample.ref, copy_id)) is False:
            seen = await sample.scheduler.watch_copies(cursor, timeout=20)
            cursor = seen.cursor
