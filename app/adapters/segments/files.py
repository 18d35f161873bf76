"""A log's folder: which segments there are, and how far each counts."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.adapters.segments.codec import decode_mark

SUFFIX = ".log"
BLOCK = 128 * 1024
"""More than the longest record: every block holds a whole one."""


@dataclass(frozen=True)
class Segment:
    path: Path
    base: int
    """The position of its first byte."""


def segments(folder: Path) -> list[Segment]:
    """The oldest first; none when there is no folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    bases = sorted(int(name[: -len(SUFFIX)]) for name in names if _is_segment(name))
    return [Segment(folder / segment_name(base), base) for base in bases]


def segment_name(base: int) -> str:
    return f"{base:020}{SUFFIX}"


def _is_segment(name: str) -> bool:
    return name.endswith(SUFFIX) and name[: -len(SUFFIX)].isdigit()


def holding(found: Sequence[Segment], position: int) -> int:
    """The index of the segment that the byte before or at ``position`` is in; 0 for one that was pruned."""
    return max(0, bisect_right([segment.base for segment in found], position) - 1)


def counted_size(descriptor: int) -> int:
    """How much of a segment counts: up to the end of its last batch."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        begin = max(0, end - BLOCK)
        block = os.pread(descriptor, min(end + BLOCK, size) - begin, begin)
        limit = len(block)
        while limit > 0:
            at = block.rfind(b"\n{", 0, limit) + 1
            if not at and not (begin == 0 and block.startswith(b"{")):
                break
            newline = block.find(b"\n", at)
            if newline >= 0 and decode_mark(block[at:newline]) is not None:
                return begin + newline + 1
            limit = at
        end = begin
    return 0


def units(descriptor: int, begin: int, end: int, *, backward: bool) -> Iterator[tuple[int, bytes]]:
    """Pieces of whole records between two records' borders, with the offset of each."""
    return _backward(descriptor, begin, end) if backward else _forward(descriptor, begin, end)


def _forward(descriptor: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    while begin < end:
        block = os.pread(descriptor, min(BLOCK, end - begin), begin)
        whole = block.rfind(b"\n") + 1
        if not whole:
            return
        yield begin, block[:whole]
        begin += whole


def _backward(descriptor: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    while begin < end:
        start = max(begin, end - BLOCK)
        block = os.pread(descriptor, end - start, start)
        if start > begin:
            whole = block.find(b"\n") + 1
            if not whole or whole == len(block):
                return
            start, block = start + whole, block[whole:]
        yield start, block
        end = start
