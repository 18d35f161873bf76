"""A copy's output on disk. The app writes to the open file itself, so it is cut in place, not renamed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_LARGEST = 10 * 1024 * 1024
_TAIL_BYTES = 512 * 1024


def rotate(path: Path) -> None:
    """Past 10 MB keep it as ``….1`` and begin again. Lines written in that instant may be lost."""
    if not path.exists() or path.stat().st_size <= _LARGEST:
        return
    with path.open("rb") as source, path.with_suffix(".log.1").open("wb") as kept:
        source.seek(-_LARGEST, os.SEEK_END)
        shutil.copyfileobj(source, kept)
    os.truncate(path, 0)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines, of the previous file too when this one holds too few."""
    found: list[str] = []
    for part in (path, path.with_suffix(".log.1")):
        if len(found) < lines and part.exists():
            found = _last_lines(part) + found
    return found[-lines:] if lines > 0 else []


def _last_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        content = file.read()
    lines = content.decode(errors="replace").splitlines()
    return lines[1:] if size > _TAIL_BYTES else lines
