"""Where builds work: ``{home}/builder``, or a link to a place that build users may enter.

staging/<build id>/   one build's scratch folder, removed with it
tools/                copies of programs that stand where build users may not go
layers/               packed dependencies; closed to build users
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from app.adapters.builder.users import OURSELVES, SHARED, BuildUser, fetcher_home, is_root
from app.adapters.local.postgres import others_may_enter
from app.errors import ExternalFailure


@dataclass(frozen=True)
class Area:
    root: Path

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    def scratch(self, build_id: str, user: BuildUser = OURSELVES) -> Path:
        """An empty folder of this build, that only ``user`` may enter."""
        folder = self.staging / build_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        user.own(folder)
        return folder

    def remove_scratch(self, build_id: str) -> None:
        shutil.rmtree(self.staging / build_id, ignore_errors=True)

    def download_cache(self) -> Path:
        return fetcher_home() if is_root() else self.root / "downloads"

    def uv(self) -> Path:
        """The uv program, where a build user can run it."""
        installed = _installed_uv()
        if not is_root() or others_may_enter(installed):
            return installed
        copy = self.root / "tools" / f"uv-{version('uv')}"
        if not copy.exists():
            partial = copy.with_name(f"{copy.name}.{os.getpid()}")
            shutil.copy2(installed, partial)
            partial.chmod(0o755)
            partial.rename(copy)
        return copy


def open_area(home: Path) -> Area:
    """The area of this home, made on first use."""
    link = home / "builder"
    home.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not link.exists() and is_root() and not others_may_enter(home):
        elsewhere = SHARED / f"builder-{secrets.token_hex(6)}"
        elsewhere.mkdir(parents=True, mode=0o711)
        link.unlink(missing_ok=True)
        link.symlink_to(elsewhere)
    area = Area(link.resolve())
    for folder, mode in ((area.root, 0o711), (area.staging, 0o711), (area.root / "tools", 0o755)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    area.layers.mkdir(exist_ok=True)
    area.layers.chmod(0o700)
    return area


@cache
def _installed_uv() -> Path:
    from uv import find_uv_bin

    try:
        return Path(find_uv_bin()).resolve()
    except FileNotFoundError as error:
        raise ExternalFailure(
            "uv, which installs Python dependencies, is missing.",
            hint=f"Install it with: {sys.executable} -m pip install uv",
        ) from error
