"""From the bytes that a container writes to lines that can be stored and shown.

Pure. Bytes come in pieces cut anywhere: what follows the last newline is held until its rest comes, so that
a line is one line however it was written. A line that is too long is cut, and says by how much.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 8 * 1024
"""Bytes. What comes after them, up to the newline, is counted and left out."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class RawLine:
    content: bytes
    cut: int = 0
    """So many bytes of it were left out at the end."""


class Joiner:
    """Of one stream. It begins with what an earlier one ``held`` of a line, and had left ``cut``."""

    def __init__(self, held: bytes = b"", cut: int = 0) -> None:
        self._held = bytearray(held)
        self._cut = cut

    @property
    def held(self) -> bytes:
        """The beginning of a line whose end has not come."""
        return bytes(self._held)

    @property
    def cut(self) -> int:
        return self._cut

    def feed(self, data: bytes) -> list[RawLine]:
        """The lines that this completes."""
        found = []
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._add(part)
            found.append(self._end())
        self._add(rest)
        return found

    def flush(self) -> list[RawLine]:
        """What is held, as a line of its own: its end will not come."""
        return [self._end()] if self._held else []

    def _end(self) -> RawLine:
        line = RawLine(bytes(self._held), self._cut)
        self._held.clear()
        self._cut = 0
        return line

    def _add(self, part: bytes) -> None:
        self._held += part
        more = len(self._held) - LONGEST_LINE
        if more > 0:
            self._cut += more
            del self._held[LONGEST_LINE:]


def text_of(content: bytes) -> str:
    """For a terminal or a page: without escape sequences, control and direction characters."""
    text = content.decode(errors="replace")
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROLS.sub("", text).rstrip()
