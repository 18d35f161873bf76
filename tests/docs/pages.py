"""What a page of the documentation has a reader type, and what it says will be printed.

A ``sh`` block is typed; a ``text`` block directly below it holds lines of what is then printed, in their
order, among others. ``…`` in such a line stands for any characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    place: str
    """``docs/api.md:12``"""
    commands: str
    printed: tuple[str, ...] = ()


def blocks(page: str) -> Sequence[Block]:
    """Every ``sh`` block of a page, named from the top of the tree."""
    return list(_blocks(page, (ROOT / page).read_text()))


def _blocks(page: str, text: str) -> Iterator[Block]:
    block: Block | None = None
    end = 0
    for fence in _FENCE.finditer(text):
        language, content = fence.groups()
        follows = not text[end : fence.start()].strip()
        if language == "text" and block is not None and follows:
            block = replace(block, printed=tuple(content.splitlines()))
        elif block is not None:
            yield block
            block = None
        if language == "sh":
            line = text.count("\n", 0, fence.start()) + 1
            block = Block(f"{page}:{line}", content)
        end = fence.end()
    if block is not None:
        yield block


def missing_lines(printed: Sequence[str], output: str) -> list[str]:
    """The first of the lines that did not come, with those below it; empty when all came in order."""
    lines = iter([line.rstrip() for line in re.split(r"[\r\n]+", output)])
    for number, expected in enumerate(printed):
        pattern = re.compile(".*".join(map(re.escape, expected.rstrip().split("…"))))
        if not any(pattern.fullmatch(line) for line in lines):
            return list(printed[number:])
    return []
