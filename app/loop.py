"""The event loop of the platform's processes: asyncio's own.

uvloop was tried: it raises from a write to a child process that has just ended, cannot start a child as
another user, and costs memory, while what these processes wait for is git, Postgres and the engine.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any

from app.errors import PaasError


def run(main: Coroutine[Any, Any, None]) -> None:
    """``asyncio.run``; children are watched by file descriptor and not by a thread each.

    A failure with words of ours ends the process with these, and exit code 1.
    """
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        asyncio.run(main)
    except PaasError as error:
        sys.exit(f" !  {error.message}\n    {error.hint or ''}".rstrip())
