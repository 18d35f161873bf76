"""What kind of app a tree is. Pure: decides over the names in it.

| has | is |
|---|---|
| ``Dockerfile`` | an image, whatever else is there |
| ``Procfile`` and ``requirements.txt``, ``uv.lock`` or ``pyproject.toml`` | a Python slug |
| ``Procfile`` and ``package.json`` | a Node slug |
| ``Procfile`` alone | a slug that runs a shell line with what the machine has |
| ``Staticfile``, or ``index.html`` at the top, in ``public/`` or ``dist/`` | a static site |
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_STATIC_ROOTS = (".", "public", "dist")


class AppKind(enum.StrEnum):
    DOCKERFILE = "Dockerfile"
    PYTHON = "Python"
    NODE = "Node.js"
    PLAIN = "Procfile"
    STATIC = "static site"


@dataclass(frozen=True)
class Detected:
    kind: AppKind
    because: str
    """The file that decided, as shown in the log."""
    root: str = "."
    """Of a static site: the folder that is served."""


def detect(files: Collection[str]) -> Detected:
    """``files`` are paths from the top of the tree; only those at most one folder deep are looked at.

    Raises BuildFailed(NOTHING_TO_BUILD), saying what to add.
    """
    if "Dockerfile" in files:
        return Detected(AppKind.DOCKERFILE, "Dockerfile")
    if "Procfile" in files:
        return _with_procfile(files)
    for root in _STATIC_ROOTS:
        index = "index.html" if root == "." else f"{root}/index.html"
        if index in files:
            return Detected(AppKind.STATIC, index, root)
    if "Staticfile" in files:
        return Detected(AppKind.STATIC, "Staticfile")
    raise _nothing(files)


def _with_procfile(files: Collection[str]) -> Detected:
    for manifest in ("uv.lock", "requirements.txt", "pyproject.toml"):
        if manifest in files and (manifest != "uv.lock" or "pyproject.toml" in files):
            return Detected(AppKind.PYTHON, f"Procfile and {manifest}")
    if "package.json" in files:
        if "package-lock.json" not in files and "npm-shrinkwrap.json" not in files:
            raise BuildFailed(
                FailureCode.NOTHING_TO_BUILD,
                "There is a package.json but no package-lock.json, so the versions to install are not known.",
                "Run `npm install` and commit the package-lock.json that it writes.",
            )
        return Detected(AppKind.NODE, "Procfile and package-lock.json")
    return Detected(AppKind.PLAIN, "Procfile")


def _nothing(files: Collection[str]) -> BuildFailed:
    if not files:
        return BuildFailed(
            FailureCode.NOTHING_TO_BUILD,
            "The commit is empty: it has no files.",
            "Add your app and a Dockerfile, a Procfile or an index.html, commit and push again.",
        )
    advice = "a Dockerfile, a Procfile with a `web:` line, or an index.html"
    if "requirements.txt" in files or "pyproject.toml" in files or "package.json" in files:
        advice = "a Procfile with a line such as `web: python3 app.py` (or a Dockerfile)"
    misspelt = sorted(name for name in files if name.lower() in {"dockerfile", "procfile"})
    if misspelt:
        advice = f"it under its exact name: `{misspelt[0].capitalize()}`, not `{misspelt[0]}`"
    return BuildFailed(
        FailureCode.NOTHING_TO_BUILD,
        "There is nothing to build: the top folder has no Dockerfile, Procfile or index.html.",
        f"Add {advice}, commit and push again.",
    )
