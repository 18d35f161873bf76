"""Deterministic archives: the same tree gives the same bytes, on any machine, at any time.

Entries are sorted, belong to user 0, date from 1970, and keep of their mode only whether they may be run.
A tree that a tenant's code has written is read with suspicion: links must stay inside, and nothing that is
not a file, a folder or a link is packed.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_MEGABYTE = 1024 * 1024
END_OF_ARCHIVE = b"\0" * 1024


@dataclass
class Packer:
    """Adds trees and files to one archive; ``unpacked`` is what they take up."""

    tar: tarfile.TarFile
    max_bytes: int
    owner: int | None = None
    """Refuse files of other users: a tenant's code may have linked to what it cannot read."""
    unpacked: int = 0

    def add_tree(
        self, folder: Path, under: str, *, leave_out: frozenset[str] = frozenset()
    ) -> None:
        """``leave_out`` are names at the top of ``folder``."""
        if under:
            self._add_folder(under)
        self._add_entries(str(folder), under, "", leave_out)

    def add_bytes(self, name: str, content: bytes, *, executable: bool = False) -> None:
        entry = _entry(name, 0o755 if executable else 0o644)
        entry.size = len(content)
        self.tar.addfile(entry, io.BytesIO(content))

    def add_parents(self, name: str) -> None:
        parents = name.split("/")[:-1]
        for depth in range(len(parents)):
            self._add_folder("/".join(parents[: depth + 1]))

    def _add_folder(self, name: str) -> None:
        entry = _entry(name, 0o755)
        entry.type = tarfile.DIRTYPE
        self.tar.addfile(entry)

    def _add_entries(self, folder: str, under: str, inner: str, leave_out: frozenset[str]) -> None:
        for item in sorted(os.scandir(folder), key=lambda item: item.name):
            if item.name in leave_out:
                continue
            name = posixpath.join(under, inner, item.name)
            status = item.stat(follow_symlinks=False)
            self._check_owner(name, status)
            if stat.S_ISDIR(status.st_mode):
                self._add_folder(name)
                self._add_entries(item.path, under, posixpath.join(inner, item.name), frozenset())
            elif stat.S_ISLNK(status.st_mode):
                self._add_link(name, os.readlink(item.path))
            elif stat.S_ISREG(status.st_mode):
                self._add_file(name, item.path, status)

    def _add_file(self, name: str, path: str, status: os.stat_result) -> None:
        self.unpacked += status.st_size
        if self.unpacked > self.max_bytes:
            raise too_large(self.max_bytes)
        entry = _entry(name, 0o755 if status.st_mode & 0o111 else 0o644)
        entry.size = status.st_size
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as content:
            self.tar.addfile(entry, content)

    def _add_link(self, name: str, target: str) -> None:
        resolved = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if target.startswith("/") or resolved == ".." or resolved.startswith("../"):
            raise BuildFailed(
                FailureCode.UNSAFE_SOURCE,
                f"The link {name[:200]} leads out of the app's folder, to {target[:200]}.",
                "Replace it by the file itself, or by a relative link that stays inside.",
            )
        entry = _entry(name, 0o777)
        entry.type = tarfile.SYMTYPE
        entry.linkname = target
        self.tar.addfile(entry)

    def _check_owner(self, name: str, status: os.stat_result) -> None:
        if self.owner is not None and status.st_uid != self.owner:
            raise BuildFailed(
                FailureCode.UNSAFE_SOURCE,
                f"The build left a file that is not its own: {name[:200]}.",
                "A build may not link to files of the machine.",
            )


@contextmanager
def packing(
    out: BinaryIO, *, max_bytes: int, level: int, owner: int | None = None
) -> Iterator[Packer]:
    """One gzip member of tar entries, without the end-of-archive mark, so that members can follow."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=level, mtime=0) as zipped:
        tar = tarfile.TarFile(
            fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
        )  # fmt: skip
        yield Packer(tar, max_bytes, owner)


def end_archive(out: BinaryIO) -> None:
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=1, mtime=0) as zipped:
        zipped.write(END_OF_ARCHIVE)


def too_large(max_bytes: int) -> BuildFailed:
    return BuildFailed(
        FailureCode.BUILD_LIMIT,
        f"The app and its dependencies take more than {max_bytes // _MEGABYTE} MB.",
        "Leave out large files and unused dependencies, or raise PAAS_BUILD_MAX_SLUG_MB.",
    )


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    return entry
