"""A copy's output on disk: a file each for stdout and stderr, to which the app itself appends.

What is old is taken out of the front of a file by punching a hole, so that the app writes on undisturbed,
nothing is lost meanwhile, and a byte keeps its offset for as long as the copy lives. Where the file system
has no holes, the file is copied aside and emptied instead; whoever reads along sees that it shrank.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_LARGEST = 10 * 1024 * 1024
_SLACK = 1024 * 1024
"""Holes are made a megabyte at a time."""
_BLOCK = 64 * 1024
"""Holes end on a multiple of it: of every file system's own block size too."""
_TAIL_BYTES = 512 * 1024
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_NO_HOLES = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def rotate(path: Path) -> None:
    """Past 10 MB forget the oldest."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if status.st_blocks * 512 <= _LARGEST + _SLACK:
        return
    end = (status.st_size - _LARGEST) // _BLOCK * _BLOCK
    if end > 0 and not _punch(path, end):
        _empty(path)


def tail(paths: Iterable[Path], lines: int) -> list[str]:
    """The last lines of the files, one after the other."""
    found: list[str] = []
    for path in paths:
        own: list[str] = []
        for part in (path, _aside(path)):
            if len(own) < lines and part.exists():
                own = _last_lines(part) + own
        found += own[-lines:] if lines > 0 else []
    return found[-lines:] if lines > 0 else []


@dataclass(frozen=True)
class Piece:
    data: bytes
    end: int
    """Offset of what comes after it."""
    lost: bool = False
    lost_bytes: int | None = None


def read(descriptor: int, offset: int, size: int) -> Piece:
    """Up to ``size`` bytes from ``offset`` on, or from where there are any; empty at the end."""
    length = os.fstat(descriptor).st_size
    lost, dropped = False, None
    if length < offset:
        offset, lost = 0, True
    begin = _next_data(descriptor, offset, length)
    if begin > offset:
        dropped, lost, offset = begin - offset, True, begin
    data = os.pread(descriptor, size, offset)
    return Piece(data, offset + len(data), lost, dropped)


def _next_data(descriptor: int, offset: int, length: int) -> int:
    """``offset``, or where the hole that it is in ends."""
    if offset >= length or not hasattr(os, "SEEK_DATA"):
        return offset
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return length
        raise


def _last_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(0, size - _TAIL_BYTES)
        begin = _next_data(file.fileno(), begin, size)
        file.seek(begin)
        content = file.read()
    lines = content.decode(errors="replace").splitlines()
    return lines[1:] if begin else lines


def _punch(path: Path, end: int) -> bool:
    """False where that cannot be done."""
    call = _fallocate()
    if call is None:
        return False
    descriptor = os.open(path, os.O_WRONLY)
    try:
        return not call(descriptor, end)
    finally:
        os.close(descriptor)


@cache
def _fallocate() -> Any:
    """Makes a hole in the beginning of a file; returns whether that is impossible there."""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

    def punch(descriptor: int, end: int) -> bool:
        if function(descriptor, _KEEP_SIZE | _PUNCH_HOLE, 0, end) == 0:
            return False
        number = ctypes.get_errno()
        if number in _NO_HOLES:
            return True
        raise OSError(number, os.strerror(number))

    return punch


def _empty(path: Path) -> None:
    """Lines written in that instant may be lost."""
    with path.open("rb") as source, _aside(path).open("wb") as kept:
        source.seek(-_LARGEST, os.SEEK_END)
        shutil.copyfileobj(source, kept)
    with contextlib.suppress(FileNotFoundError):
        os.truncate(path, 0)


def _aside(path: Path) -> Path:
    return path.with_suffix(".log.1")
