"""A copy's output as a stream of frames, from given offsets on, for as long as there may be more.

A frame is a header (``HEADER``: stream, whether bytes before it are lost, how many or ``UNKNOWN``, the offset
after it, its length) and the bytes. The last one, ``END``, says that there will be no more; without it the
stream was only broken off. The files stay open, so that what a removed copy wrote last is still sent.
"""

from __future__ import annotations

import contextlib
import enum
import os
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from app.agent.logfiles import Piece, read
from app.growth import Growth
from app.ports.scheduler import Output

HEADER = struct.Struct(">B?QQI")
STREAMS = (Output.STDOUT, Output.STDERR)
UNKNOWN = 2**64 - 1
END = HEADER.pack(len(STREAMS), False, 0, 0, 0)
_FRAME_BYTES = 32 * 1024


class Ending(enum.Enum):
    COMPLETE = "complete"
    """What is in the files by now is all there will be, or all that was asked for."""
    LEAVING = "leaving"
    """The agent goes away, and the copy goes on."""


def frames(
    paths: Mapping[Output, Path],
    offsets: Mapping[Output, int],
    growth: Growth,
    ending: Callable[[], Ending | None],
) -> AsyncIterator[bytes]:
    """Opens the files at once, and reads them until there is an ``ending`` and they are read."""
    files = contextlib.ExitStack()
    descriptors = {}
    for stream, path in paths.items():
        descriptors[stream] = os.open(path, os.O_RDONLY)
        files.callback(os.close, descriptors[stream])
    return _frames(files, descriptors, dict(offsets), growth, ending)


async def _frames(
    files: contextlib.ExitStack,
    descriptors: Mapping[Output, int],
    offsets: dict[Output, int],
    growth: Growth,
    ending: Callable[[], Ending | None],
) -> AsyncIterator[bytes]:
    def look() -> object:
        return ending(), *(os.fstat(descriptor).st_size for descriptor in descriptors.values())

    with files, growth.watching(look) as grown:
        while True:
            grown.clear()
            last = ending()
            for stream, descriptor in descriptors.items():
                while (
                    piece := read(descriptor, offsets.get(stream, 0), _FRAME_BYTES)
                ).data or piece.lost:
                    offsets[stream] = piece.end
                    yield _frame(stream, piece)
            if last is Ending.COMPLETE:
                yield END
            if last is not None:
                return
            await grown.wait()


def _frame(stream: Output, piece: Piece) -> bytes:
    dropped = UNKNOWN if piece.lost_bytes is None else piece.lost_bytes
    header = HEADER.pack(STREAMS.index(stream), piece.lost, dropped, piece.end, len(piece.data))
    return header + piece.data
