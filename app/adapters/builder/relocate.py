"""Makes installed Python packages independent of where they were installed.

Runs as the platform over files that a tenant's code may have written, so nothing follows a link.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

_PORTABLE = b"#!/usr/bin/env python3\n"
_DIRECT = re.compile(rb"\A#![^\n]*python[^\n]*\n")
_INDIRECT = re.compile(rb"\A#!/bin/sh\n'''exec' [^\n]*\n' '''\n")
_MAX_SCRIPT = 1024 * 1024


def relocate(site: Path) -> None:
    """Point scripts at whichever ``python3`` is first on the path, and forget where packages came from."""
    scripts = site / "bin"
    if scripts.is_dir() and not scripts.is_symlink():
        for script in os.scandir(scripts):
            if script.is_file(follow_symlinks=False):
                _make_portable(script.path)
    for metadata in site.glob("*.dist-info"):
        if not metadata.is_symlink():
            # It may hold the credentials of a URL.
            (metadata / "direct_url.json").unlink(missing_ok=True)


def _make_portable(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "r+b") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > _MAX_SCRIPT:
            return
        content = file.read()
        changed = _INDIRECT.sub(_PORTABLE, content, count=1)
        changed = _DIRECT.sub(_PORTABLE, changed, count=1) if changed == content else changed
        if changed != content:
            file.seek(0)
            file.write(changed)
            file.truncate()
