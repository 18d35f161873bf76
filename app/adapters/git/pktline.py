"""git's packet lines: four hexadecimal digits of length, themselves included, then the payload."""

from __future__ import annotations

import asyncio

from app.errors import InvalidInput

FLUSH = b"0000"
_MAX_PAYLOAD = 65516
_HEX = frozenset(b"0123456789abcdefABCDEF")


class MalformedPacket(InvalidInput):
    """The bytes are no packet lines."""


def packet(payload: bytes) -> bytes:
    if len(payload) > _MAX_PAYLOAD:
        raise MalformedPacket("A packet line is longer than git allows.")
    return b"%04x" % (len(payload) + 4) + payload


def payload_length(prefix: bytes) -> int:
    """Bytes that follow ``prefix``; negative for the flush packet (0000) and the other special ones."""
    if len(prefix) != 4 or not _HEX.issuperset(prefix):
        raise MalformedPacket("The request is not in git's packet format.")
    length = int(prefix, 16) - 4
    if length > _MAX_PAYLOAD:
        raise MalformedPacket("A packet line is longer than git allows.")
    return length


async def read_packet(reader: asyncio.StreamReader) -> bytes | None:
    """One payload without its line feed; None for a flush packet. Raises IncompleteReadError at the end."""
    length = payload_length(await reader.readexactly(4))
    if length < 0:
        return None
    return (await reader.readexactly(length)).removesuffix(b"\n")


async def read_section(reader: asyncio.StreamReader) -> list[bytes]:
    """Payloads up to the next flush packet."""
    section = []
    while (payload := await read_packet(reader)) is not None:
        section.append(payload)
    return section
