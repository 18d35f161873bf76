"""The Python that slugs are built for: one that the machine which runs them has as well."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from app.adapters.builder.users import is_root
from app.adapters.local.postgres import others_may_enter
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

SYSTEM = Path("/usr/bin/python3")
_STANDARD_FOLDERS = {"/usr/bin", "/usr/local/bin", "/bin"}
_ASK = (
    "import json, sys, sysconfig; print(json.dumps(["
    "'%d.%d' % sys.version_info[:2], sys.implementation.cache_tag, sysconfig.get_platform()]))"
)


@dataclass(frozen=True)
class Interpreter:
    path: str
    version: str
    """``3.11``"""
    tag: str
    platform: str

    @property
    def name(self) -> str:
        return f"python{self.version}"

    @property
    def unusual_folder(self) -> str:
        """Where it stands, unless that is on everybody's PATH."""
        folder = str(Path(self.path).parent)
        return "" if folder in _STANDARD_FOLDERS else folder


def interpreter_for(engine: Literal["embedded", "nomad"]) -> Interpreter:
    """Nomad's exec driver shows a task ``/usr`` and little else, so there the system's comes first.

    Raises BuildFailed(BUILDER_UNAVAILABLE) when no Python can be run by build users.
    """
    ours = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    candidates = [SYSTEM, ours] if engine == "nomad" else [ours, SYSTEM]
    for candidate in candidates:
        if candidate.exists() and (not is_root() or others_may_enter(candidate)):
            return _asked(str(candidate))
    raise BuildFailed(
        FailureCode.BUILDER_UNAVAILABLE,
        "No Python that builds may use was found: root's own stands in a folder closed to others.",
        "Install the system's (apt-get install python3), or run the platform as an ordinary user.",
    )


@cache
def _asked(path: str) -> Interpreter:
    answer = subprocess.run(
        [path, "-Ic", _ASK], capture_output=True, check=True, text=True, cwd="/"
    )
    version, tag, platform = json.loads(answer.stdout)
    return Interpreter(path, version, tag, platform)
