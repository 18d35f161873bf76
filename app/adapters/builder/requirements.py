"""What a Python tree asks to be installed, and how far the result may be shared. Pure but for reading.

Only plain names are *shareable* between apps: a path, a URL or an option could bring in what the text alone
does not determine, and a lock may name any registry.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.adapters.builder.workspace import safe_file
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_MAX_BYTES = 4 * 1024 * 1024
_HASH = re.compile(r"\s--hash=\w+:[0-9a-f]+")
_PLAIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._,\s-]*\])?"  # name and extras
    r"\s*([<>=!~][^;@/\\]*)?"  # versions
    r"(;[^@/\\]*)?"  # marker
)
_EDITABLE = re.compile(r"(-e|--editable)[\s=]+")


@dataclass(frozen=True)
class Requirements:
    text: str
    """A requirements file; empty for ``uv.lock``, which is exported when it has to be installed."""
    lock: str = ""
    """``uv.lock``."""
    project: str = ""
    """``pyproject.toml``, beside a lock."""
    shareable: bool = False
    needs_tree: bool = False
    """Names files of the tree, so that the commit determines the result and not the text."""

    @property
    def empty(self) -> bool:
        return not self.lock and not any(_lines(self.text))


def read_requirements(source: Path) -> Requirements:
    """From ``uv.lock``, else ``requirements.txt``, else ``pyproject.toml``. Raises BuildFailed."""
    lock, project = safe_file(source, "uv.lock"), safe_file(source, "pyproject.toml")
    listing = safe_file(source, "requirements.txt")
    if lock and project:
        return _from_lock(_read(lock), _read(project))
    if listing:
        return from_text(_read(listing))
    return _from_project(_read(project)) if project else Requirements("")


def from_text(text: str) -> Requirements:
    """An editable install would point at the folder of the build, so it becomes an ordinary one."""
    lines = [_EDITABLE.sub("", line, count=1) for line in _lines(text)]
    shareable = all(_PLAIN.fullmatch(_HASH.sub("", line).strip()) for line in lines)
    return Requirements(
        "".join(f"{line}\n" for line in lines), shareable=shareable, needs_tree=not shareable
    )


def _from_project(text: str) -> Requirements:
    project = _toml(text, "pyproject.toml").get("project", {})
    if "dependencies" in project.get("dynamic", ()):
        raise BuildFailed(
            FailureCode.NOTHING_TO_BUILD,
            "pyproject.toml computes its dependencies (`dynamic`), so they are not known before a build.",
            "Commit a uv.lock (`uv lock`) or a requirements.txt.",
        )
    dependencies = project.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(d, str) for d in dependencies):
        raise _malformed("pyproject.toml", "project.dependencies is not a list of strings")
    return from_text("".join(f"{' '.join(dependency.split())}\n" for dependency in dependencies))


def _from_lock(lock: str, project: str) -> Requirements:
    packages = _toml(lock, "uv.lock").get("package", [])
    if not isinstance(packages, list):
        raise _malformed("uv.lock", "it lists no packages")
    local = [p for p in packages if not p.get("source", {}).keys() & {"registry", "git", "url"}]
    _toml(project, "pyproject.toml")
    return Requirements("", lock, project, needs_tree=len(local) > 1)


def _lines(text: str) -> list[str]:
    """Logical lines, without comments."""
    joined = re.sub(r"\\\r?\n", " ", text.lstrip("\ufeff"))
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def _read(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise _malformed(path.name, f"it is larger than {_MAX_BYTES // (1024 * 1024)} MB")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(path.name, "it is not UTF-8 text") from error


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _malformed(name, str(error)) from error


def _malformed(name: str, problem: str) -> BuildFailed:
    return BuildFailed(
        FailureCode.BUILD_FAILED,
        f"{name} cannot be read: {problem}.",
        f"Correct {name} and push again.",
    )
