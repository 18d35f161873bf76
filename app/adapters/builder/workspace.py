"""Files put into a scratch folder on behalf of its user."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from app.adapters.builder.users import BuildUser

_SITE_FOLDERS = ("public", "dist")


def write_file(path: Path, content: str, user: BuildUser) -> Path:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if user.uid is not None and user.gid is not None:
            os.fchown(descriptor, user.uid, user.gid)
        file.write(content)
    return path


def copy_tree(source: Path, target: Path, user: BuildUser) -> Path:
    """A copy that the user owns; links stay links."""
    shutil.copytree(source, target, symlinks=True)
    if user.uid is not None:
        user.own(target)
        for folder, folders, files in os.walk(target):
            user.own(*(Path(folder, name) for name in (*folders, *files)))
    return target


def safe_file(source: Path, name: str) -> Path | None:
    """The regular file of that name in the tree, itself or by a link that stays inside; else None."""
    try:
        found = (source / name).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    inside = found.is_relative_to(source.resolve())
    return found if inside and found.is_file() else None


def files_near_top(source: Path) -> set[str]:
    """Names of files at the top and in the folders that a static site may stand in, for detection."""
    found = {name for name in os.listdir(source) if safe_file(source, name)}
    for folder in _SITE_FOLDERS:
        index = f"{folder}/index.html"
        if safe_file(source, index):
            found.add(index)
    return found
