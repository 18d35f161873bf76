"""Procfile lines: ``name: shell line``. Pure."""

from __future__ import annotations

import re

from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*:\s*(\S.*)")
_MAX_COMMAND = 4096


def parse_procfile(text: str) -> dict[str, str]:
    """Process types to shell lines. Raises BuildFailed naming the line that is none, or when ``web`` is missing."""
    processes: dict[str, str] = {}
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        matched = _LINE.fullmatch(stripped)
        if matched is None:
            raise _malformed(number, f"is not `name: command`: {stripped[:80]!r}")
        name, command = matched.groups()
        if name in processes:
            raise _malformed(number, f"names the process type {name!r} a second time")
        if len(command) > _MAX_COMMAND or "\0" in command:
            raise _malformed(number, f"holds a command of more than {_MAX_COMMAND} characters")
        processes[name] = command
    if "web" not in processes:
        found = ", ".join(sorted(processes)) or "nothing"
        raise BuildFailed(
            FailureCode.NOTHING_TO_BUILD,
            f"The Procfile has no `web` process (it has {found}), so there is nothing to send requests to.",
            "Add a line such as `web: python3 app.py`; the process listens on the port in $PORT.",
        )
    return processes


def _malformed(number: int, problem: str) -> BuildFailed:
    return BuildFailed(
        FailureCode.NOTHING_TO_BUILD,
        f"Line {number} of the Procfile {problem}.",
        "Each line is `name: command`, for example `web: python3 app.py`.",
    )
