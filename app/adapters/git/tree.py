"""Deciding, before a byte is written, whether a commit's tree may be: pure.

A tree is hostile input. It may name paths that leave the folder, point symbolic links out of it, or
unfold from a few kilobytes into billions of files.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.ports.repositories import SourceTooLarge, UnsafeSource

SYMLINK = "120000"
SUBMODULE = "160000"
FOLDER = "040000"
EXECUTABLE = "100755"
MAX_PATH_BYTES = 4000
MAX_COMPONENT_BYTES = 255
MAX_LINK_BYTES = 4000
_MAX_LINKS_FOLLOWED = 40
"""As in Linux, which gives up (ELOOP) past it."""
_IGNORED_BY_HFS = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
"""Code points that macOS drops from names, so that ``.g\\u200cit`` is ``.git`` there."""


@dataclass(frozen=True)
class Entry:
    """One line of ``git ls-tree -r -t -l``; ``path`` is relative, with ``/``."""

    mode: str
    object_id: str
    size: int
    path: str


def parse_entry(record: bytes) -> Entry:
    """``mode SP type SP object SP size TAB path``. Raises UnsafeSource for a path that is not UTF-8."""
    description, _, raw = record.partition(b"\t")
    mode, _, object_id, size = description.decode("ascii").split()
    try:
        path = raw.decode()
    except UnicodeDecodeError as error:
        shown = raw.decode(errors="backslashreplace")
        raise UnsafeSource(
            f"The file name {shown!r} is not UTF-8.", hint="Rename the file and commit again."
        ) from error
    return Entry(mode, object_id, 0 if size == "-" else int(size), path)


def accepted(entries: Iterable[Entry], *, max_bytes: int, max_files: int) -> list[Entry]:
    """All entries, checked one by one while they arrive, so that an endless tree is left early.

    Raises UnsafeSource or SourceTooLarge.
    """
    kept: list[Entry] = []
    total = 0
    for entry in entries:
        check_path(entry.path)
        if entry.mode == SUBMODULE:
            raise UnsafeSource(
                f"{entry.path!r} is a git submodule, and its files are not part of this repository.",
                hint="Commit the files themselves (git subtree), or fetch them as a dependency in the build.",
            )
        total += entry.size
        if total > max_bytes:
            raise SourceTooLarge(
                f"The commit's files are larger than {max_bytes // 1024**2} MB together.",
                hint="Leave build results and data out of git, or raise PAAS_BUILD_MAX_SOURCE_MB.",
            )
        kept.append(entry)
        if len(kept) > max_files:
            raise SourceTooLarge(
                f"The commit has more than {max_files} files and folders.",
                hint="Leave dependencies (node_modules, .venv) out of git, or raise PAAS_BUILD_MAX_SOURCE_FILES.",
            )
    return kept


def check_path(path: str) -> None:
    """Raises UnsafeSource for a path that could be written elsewhere, or as something else."""
    shown = path if len(path) <= 200 else path[:200] + "…"
    if len(path.encode()) > MAX_PATH_BYTES:
        raise UnsafeSource(f"The path {shown!r} is longer than {MAX_PATH_BYTES} bytes.")
    for part in path.split("/"):
        problem = _component_problem(part)
        if problem:
            raise UnsafeSource(
                f"The path {shown!r} {problem}.", hint="Rename or remove it and commit again."
            )


def _component_problem(part: str) -> str | None:
    if part in {"", ".", ".."}:
        return "has an empty, '.' or '..' component"
    if len(part.encode()) > MAX_COMPONENT_BYTES:
        return f"has a component longer than {MAX_COMPONENT_BYTES} bytes"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in part):
        return "has a control character"
    folded = part.translate(_IGNORED_BY_HFS).casefold().split(":")[0].rstrip(" .")
    if folded == ".git" or folded == "git~1":
        return "names git's own folder"
    return None


def check_links(entries: Sequence[Entry], targets: Mapping[str, str]) -> None:
    """``targets``: each symbolic link's path and where it points. Raises UnsafeSource.

    Links are followed through the tree's own links, so that ``a → b/..`` with ``b → c`` is judged as
    the kernel would. What is not in the tree counts as a folder that the build may make.
    """
    for path in targets:
        if not _stays_inside(path, targets):
            raise UnsafeSource(
                f"The symbolic link {path!r} points out of the repository, or in circles.",
                hint="Point it at a file of the repository, by a relative path.",
            )
    folders = {entry.path for entry in entries if entry.mode == FOLDER}
    for path in targets:
        if path in folders:
            raise UnsafeSource(f"{path!r} is both a symbolic link and a folder.")


def _stays_inside(link: str, targets: Mapping[str, str]) -> bool:
    followed = 0
    walked: list[str] = []
    ahead = link.split("/")[::-1]
    while ahead:
        part = ahead.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not walked:
                return False
            walked.pop()
            continue
        target = targets.get("/".join([*walked, part]))
        if target is None:
            walked.append(part)
            continue
        followed += 1
        if followed > _MAX_LINKS_FOLLOWED or posixpath.isabs(target):
            return False
        ahead.extend(reversed(target.split("/")))
    return True
