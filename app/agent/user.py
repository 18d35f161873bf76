"""Who the apps' processes run as: as root, an unprivileged user of their own.

So that an app can read neither the platform's secrets nor its database. Apps are not kept apart from one
another. Without root they run as the current user, and nothing keeps them from the platform's files.
"""

from __future__ import annotations

import functools
import grp
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ExternalFailure

_NAME = "paas-app"
_SHARED = Path("/var/lib/paas")
_OTHERS_MAY_ENTER = 0o001


@dataclass(frozen=True)
class AppUser:
    name: str
    uid: int
    gid: int

    def give(self, *paths: Path) -> None:
        for path in paths:
            os.chown(path, self.uid, self.gid)


@functools.cache
def app_user() -> AppUser | None:
    """None unless we are root. Creates the user when it is missing; raises ExternalFailure if it cannot."""
    if os.geteuid() != 0:
        return None
    if not _exists():
        _create()
    entry = pwd.getpwnam(_NAME)
    return AppUser(_NAME, entry.pw_uid, entry.pw_gid)


def identity(user: AppUser | None) -> dict[str, Any]:
    """Keyword arguments for ``subprocess`` that drop to this user and its group alone."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def place_apps(home: Path) -> Path:
    """The folder that the apps' user may enter: ``{home}/apps``, or a link of that name to one below
    ``/var/lib/paas`` when the home is closed to others (as ``/root`` is). Chosen once."""
    folder = home / "apps"
    if folder.exists() or app_user() is None or _others_may_enter(home):
        folder.mkdir(exist_ok=True)
        return folder
    elsewhere = _SHARED / f"apps-{secrets.token_hex(6)}"
    elsewhere.mkdir(parents=True)
    _SHARED.chmod(0o711 | _SHARED.stat().st_mode)
    folder.unlink(missing_ok=True)
    folder.symlink_to(elsewhere)
    return folder


def _others_may_enter(path: Path) -> bool:
    return all(part.stat().st_mode & _OTHERS_MAY_ENTER for part in (path, *path.parents))


def _exists() -> bool:
    return _NAME in {entry.pw_name for entry in pwd.getpwall()}


def _create() -> None:
    useradd = shutil.which("useradd")
    failed = "there is no useradd"
    if useradd is not None:
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        if _NAME in {entry.gr_name for entry in grp.getgrall()}:
            command += ["--gid", _NAME]
        finished = subprocess.run([*command, _NAME], capture_output=True, text=True, check=False)
        failed = finished.stderr.strip()
    if not _exists():
        raise ExternalFailure(
            f"Apps may not run as root, and the user {_NAME} could not be made: {failed}",
            hint=f"Create a system user named {_NAME}, or run the platform as an ordinary user.",
        )
