"""Where the engines' files are: the per-user cache of binaries, and the configuration folder ``nomad/``."""

from __future__ import annotations

import os
from pathlib import Path

from app.errors import ExternalFailure

NOMAD_VERSION = "1.6.3"
CONSUL_VERSION = "1.16.1"
"""Both under MPL-2.0, which later ones are not; an operator may bring any newer one."""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "paas" / "engines"


def configuration_folder() -> Path:
    """``nomad/`` of the source tree, or its copy in an installed package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "nomad", here.parent / "configuration"):
        if (folder / "acl").is_dir():
            return folder
    raise ExternalFailure("This installation lacks its nomad/ folder.", hint="Install paas again.")
