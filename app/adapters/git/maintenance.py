"""When a repository is worth packing: git's own measures, without starting git to take them."""

from __future__ import annotations

import time
from pathlib import Path

from app.adapters.git.lock import incoming

LOOSE_OBJECTS = 6700
"""As git's ``gc.auto``; estimated from one of the 256 folders, as git does."""
PACKS = 50
"""As git's ``gc.autoPackLimit``."""
REST_SECONDS = 6 * 3600
"""Unreachable objects stay loose for two weeks, so a packed repository may still look untidy."""
_MARK = "paas.maintained"


def is_untidy(path: Path) -> bool:
    return bool(incoming(path)) or is_worth_packing(path)


def is_worth_packing(path: Path) -> bool:
    loose = sum(1 for _ in (path / "objects" / "17").glob("*")) * 256
    packs = sum(1 for _ in (path / "objects" / "pack").glob("*.pack"))
    return (loose > LOOSE_OBJECTS or packs > PACKS) and not _was_maintained(path)


def mark_maintained(path: Path) -> None:
    (path / _MARK).touch()


def _was_maintained(path: Path) -> bool:
    try:
        return time.time() - (path / _MARK).stat().st_mtime < REST_SECONDS
    except FileNotFoundError:
        return False
