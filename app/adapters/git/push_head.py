"""The commands at the head of a push, read before git is started.

A push from a shallow clone (typical of CI) first names the boundary of its history. git records the
boundary when *it* moves the refs; where a hook moves them, git (2.39) aborts ("connectivity check
skipped"). So these lines are kept from it: it is given the boundary as a file while it checks the pack,
and ``shallow.py`` records what of it is true.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from app.adapters.git.pktline import payload_length
from app.errors import InvalidInput
from app.ports.repositories import RefUpdate

MAX_BYTES = 4 * 1024 * 1024
"""Room for some 30,000 refs; git holds all commands in memory."""


@dataclass
class PushHead:
    """``passed_on`` is what git shall read: the commands, their flush packet, and what came with them."""

    shallow: list[str] = field(default_factory=list)
    passed_on: bytearray = field(default_factory=bytearray)
    updates: list[RefUpdate] = field(default_factory=list)
    """As far as the commands can be read; what git makes of them counts."""


def update_of(line: bytes) -> RefUpdate:
    old, new, ref = line.decode(errors="surrogateescape").split(" ", 2)
    return RefUpdate(ref=ref, old=old, new=new)


async def read_head(body: AsyncIterator[bytes]) -> PushHead:
    """Read up to the flush packet after the commands. A body that ends before is git's to judge.

    Raises InvalidInput when the head is too long or not in git's format, and what ``body`` raises.
    """
    head = PushHead()
    unread = bytearray()
    async for chunk in body:
        unread += chunk
        if _take_commands(head, unread):
            break
        if len(head.passed_on) + len(unread) + 60 * len(head.shallow) > MAX_BYTES:
            raise InvalidInput(
                "The push updates too many refs at once.",
                hint="Push fewer branches and tags at a time.",
            )
    head.passed_on += unread
    return head


def _take_commands(head: PushHead, unread: bytearray) -> bool:
    """Move whole packets from ``unread`` to the head; True at the flush packet."""
    while len(unread) >= 4:
        length = payload_length(bytes(unread[:4]))
        size = max(length, 0) + 4
        if len(unread) < size:
            return False
        line = bytes(unread[:size])
        del unread[:size]
        keyword, _, object_id = line[4:].rstrip(b"\n").partition(b" ")
        if keyword == b"shallow":
            head.shallow.append(object_id.decode("ascii", "replace"))
        else:
            head.passed_on += line
            if line.count(b" ") >= 2:
                head.updates.append(update_of(line[4:].partition(b"\0")[0].rstrip(b"\n")))
        if length < 0:
            return True
    return False
