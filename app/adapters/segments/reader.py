"""Reading a log: by position or time to the right block, then block by block, in either direction."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from app.adapters.segments.codec import decode_line, decode_time
from app.adapters.segments.files import BLOCK, Segment, counted_size, holding, segments, units
from app.ports.logs import LogFilter, LogLine, LogPage, NoSuchCursor, folded, micros_of

_CLOSE_ENOUGH = 2 * BLOCK
"""A search by time that has come so near reads the rest."""


def newest(folder: Path) -> int:
    found = segments(folder)
    if not found:
        return 0
    with _opened(found[-1]) as descriptor:
        return found[-1].base + counted_size(descriptor)


def check(folder: Path, position: int) -> None:
    """Raises NoSuchCursor unless the position is a record's border, or one that was pruned."""
    found = segments(folder)
    if position == 0 or (found and 0 <= position <= found[0].base):
        return
    if found:
        segment = found[holding(found, position)]
        at = position - segment.base
        with _opened(segment) as descriptor:
            inside = 0 < at <= counted_size(descriptor)
            if at == 0 or (inside and os.pread(descriptor, 1, at - 1) == b"\n"):
                return
    raise NoSuchCursor(
        "This is no cursor of these logs.",
        hint="Pass a cursor of the same instance's logs, unchanged.",
    )


def page(
    folder: Path,
    filter: LogFilter,
    limit: int,
    after: int | None,
    before: int | None,
    backward: bool,
) -> LogPage:
    for position in (after, before):
        if position is not None:
            check(folder, position)
    found = segments(folder)
    gap = bool(after is not None and found and 0 < after < found[0].base)
    lines: list[LogLine] = []
    with closing(_accepted(found, filter, after or 0, before, backward)) as accepted:
        for line in accepted:
            lines.append(line)
            if len(lines) > limit:
                break
    more = len(lines) > limit
    del lines[limit:]
    if backward:
        return LogPage(lines[::-1], more_before=more, more_after=before is not None, gap=gap)
    return LogPage(lines, more_before=after is not None, more_after=more, gap=gap)


def _accepted(
    found: Sequence[Segment], filter: LogFilter, after: int, before: int | None, backward: bool
) -> Generator[LogLine, None, None]:
    """``before``: the end of the first line that there may not be."""
    needle = _needle(filter.text)
    since = None if filter.since is None else micros_of(filter.since)
    until = None if filter.until is None else micros_of(filter.until)
    chosen = _between(found, after, before, since, until)
    for segment in reversed(chosen) if backward else chosen:
        with _opened(segment) as descriptor:
            begin, end = _span(descriptor, segment, after, before, since, until)
            for offset, unit in units(descriptor, begin, end, backward=backward):
                if needle and needle not in unit.lower():
                    continue
                records = _records(unit, segment.base + offset, backward)
                for position, record in records:
                    if needle and needle not in record.lower():
                        continue
                    line = decode_line(record, position)
                    if line is None or (before is not None and position >= before):
                        continue
                    if filter.accepts(line):
                        yield line


def _records(unit: bytes, base: int, backward: bool) -> Iterator[tuple[int, bytes]]:
    """Each with the position of what comes after it."""
    if backward:
        end = len(unit)
        while end > 0:
            begin = unit.rfind(b"\n", 0, end - 1) + 1
            yield base + end, unit[begin : end - 1]
            end = begin
        return
    begin = 0
    while begin < len(unit):
        end = unit.index(b"\n", begin) + 1
        yield base + end, unit[begin : end - 1]
        begin = end


def _needle(text: str) -> bytes:
    """What a record has to contain, as it is stored, for its message to contain the text; empty when
    that cannot be told from the bytes, since JSON escapes some of the characters."""
    escaped = any(character in '"\\' or character < " " for character in text)
    return b"" if escaped else folded(text)


def _between(
    found: Sequence[Segment],
    after: int,
    before: int | None,
    since: int | None,
    until: int | None,
) -> Sequence[Segment]:
    if not found:
        return ()
    first = holding(found, after)
    last = len(found) - 1 if before is None else holding(found, before)
    if since is not None:
        while first < last and _starts_before(found[first + 1], since, if_empty=False):
            first += 1
    if until is not None:
        while first < last and not _starts_before(found[last], until, if_empty=True):
            last -= 1
    return found[first : last + 1]


def _starts_before(segment: Segment, micros: int, *, if_empty: bool) -> bool:
    """Whether its first line is older; ``if_empty``: the answer for a segment without lines."""
    with _opened(segment) as descriptor:
        found = _time_after(descriptor, 0, BLOCK)
    return if_empty if found is None else found[1] < micros


def _span(
    descriptor: int,
    segment: Segment,
    after: int,
    before: int | None,
    since: int | None,
    until: int | None,
) -> tuple[int, int]:
    """Offsets within the segment that every wanted line is between."""
    begin = max(0, after - segment.base)
    end = counted_size(descriptor)
    if before is not None:
        end = min(end, before - segment.base)
    if since is not None:
        begin = _seek(descriptor, begin, end, since)[0]
    if until is not None:
        end = _seek(descriptor, begin, end, until)[1]
    return begin, end


def _seek(descriptor: int, begin: int, end: int, micros: int) -> tuple[int, int]:
    """Borders of records, with the first line as new as ``micros`` between them, by halving."""
    while end - begin > _CLOSE_ENOUGH:
        middle = (begin + end) // 2
        found = _time_after(descriptor, middle, end)
        if found is None:
            break
        border, there = found
        if there < micros:
            begin = border
        else:
            end = border
    return begin, end


def _time_after(descriptor: int, offset: int, end: int) -> tuple[int, int] | None:
    """The first line that begins after ``offset`` (at it, for 0): where, and when it arrived."""
    block = os.pread(descriptor, min(BLOCK, end - offset), offset)
    at = 0 if offset == 0 else block.find(b"\n") + 1
    while (newline := block.find(b"\n", at)) >= 0:
        micros = decode_time(block[at:newline])
        if micros is not None:
            return offset + at, micros
        at = newline + 1
    return None


@contextmanager
def _opened(segment: Segment) -> Iterator[int]:
    descriptor = os.open(segment.path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
