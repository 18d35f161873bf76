"""Writing a commit's files into a folder: listed and judged first (``tree.py``), then written.

The blobs come from ``git cat-file`` exactly as committed. ``git archive`` and ``checkout-index`` were
not taken, because both let the tree's own ``.gitattributes`` leave out or rewrite files. Every folder is
opened and every file created relative to its parent's descriptor, without following links and never
over something that exists: even on a file system that folds case, nothing is written outside.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from app.adapters.git.process import CHUNK
from app.adapters.git.tree import (
    EXECUTABLE,
    FOLDER,
    MAX_LINK_BYTES,
    SYMLINK,
    Entry,
    accepted,
    check_links,
    parse_entry,
)
from app.errors import ExternalFailure
from app.ports.repositories import UnsafeSource


class ExportAbandoned(Exception):
    """Whoever wanted the files does not want them any more."""


def export(
    repository: Path,
    sha: str,
    into: Path,
    env: Mapping[str, str],
    *,
    max_bytes: int,
    max_files: int,
    abandoned: threading.Event,
) -> None:
    """Blocking; run it in a thread. Raises UnsafeSource, SourceTooLarge or ExternalFailure."""
    with contextlib.closing(_listed(repository, sha, env)) as entries:
        tree = accepted(entries, max_bytes=max_bytes, max_files=max_files)
    with _cat_file(repository, env) as blobs:
        links = {e.path: _link(blobs, e) for e in tree if e.mode == SYMLINK}
        check_links(tree, links)
        _write(tree, links, into, blobs, abandoned)


def _listed(repository: Path, sha: str, env: Mapping[str, str]) -> Generator[Entry, None, None]:
    """Folders too: a tree of nothing but empty folders is also without end."""
    command = ["git", "-C", str(repository), "ls-tree", "-r", "-t", "-l", "-z", "--full-tree", sha]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            for record in _records(process.stdout):
                yield parse_entry(record)
            words = process.stderr.read().decode(errors="replace").strip()
            if process.wait():
                raise ExternalFailure(f"The commit {sha[:12]} cannot be read: {words}")
        finally:
            process.kill()


def _records(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read1(CHUNK):  # type: ignore[attr-defined]
        *records, rest = (rest + chunk).split(b"\0")
        yield from records
        if len(rest) > CHUNK:
            raise UnsafeSource("A path in the commit is longer than any file system takes.")


class Blobs:
    """One ``git cat-file --batch``, asked for one object at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        self._in.write(entry.object_id.encode() + b"\n")
        self._in.flush()
        header = self._out.readline().split()
        if len(header) != 3 or header[1] != b"blob" or int(header[2]) != entry.size:
            raise ExternalFailure(f"The file {entry.path!r} cannot be read from the repository.")
        left = entry.size
        while left:
            chunk = self._out.read(min(left, CHUNK))
            if not chunk:
                raise ExternalFailure(f"The file {entry.path!r} ends early in the repository.")
            left -= len(chunk)
            yield chunk
        self._out.read(1)


@contextlib.contextmanager
def _cat_file(repository: Path, env: Mapping[str, str]) -> Iterator[Blobs]:
    command = ["git", "-C", str(repository), "cat-file", "--batch"]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield Blobs(process)
        finally:
            process.kill()


def _link(blobs: Blobs, entry: Entry) -> str:
    if not 0 < entry.size <= MAX_LINK_BYTES:
        raise UnsafeSource(f"The symbolic link {entry.path!r} is empty or too long.")
    raw = b"".join(blobs.chunks(entry))
    try:
        target = raw.decode()
    except UnicodeDecodeError as error:
        raise UnsafeSource(f"The symbolic link {entry.path!r} is not UTF-8.") from error
    if "\0" in target:
        raise UnsafeSource(f"The symbolic link {entry.path!r} has a control character.")
    return target


def _write(
    tree: Sequence[Entry],
    links: Mapping[str, str],
    into: Path,
    blobs: Blobs,
    abandoned: threading.Event,
) -> None:
    """Links come last, so that no folder is ever reached through one.

    ``ls-tree`` names a folder before what is in it, so that only one path of folders is open at a time.
    """
    with _Folders(into) as folders:
        for entry in tree:
            if abandoned.is_set():
                raise ExportAbandoned
            with _collision(entry.path):
                if entry.mode == FOLDER:
                    folders.make(entry.path)
                elif entry.mode != SYMLINK:
                    _write_file(folders, entry, blobs)
        for path, target in links.items():
            with _collision(path):
                parent, name = folders.parent_of(path)
                os.symlink(target, name, dir_fd=parent)


def _write_file(folders: _Folders, entry: Entry, blobs: Blobs) -> None:
    parent, name = folders.parent_of(entry.path)
    mode = 0o755 if entry.mode == EXECUTABLE else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, mode, dir_fd=parent), "wb", 0) as file:
        os.fchmod(file.fileno(), mode)
        for chunk in blobs.chunks(entry):
            file.write(chunk)


class _Folders:
    """Descriptors of the folders on the way to the current entry, and no others."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: list[str] = []
        self._descriptors: list[int] = []

    def __enter__(self) -> _Folders:
        self._descriptors.append(os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        return self

    def __exit__(self, *_: object) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def parent_of(self, path: str) -> tuple[int, str]:
        """The open parent folder of ``path``, and the name in it."""
        *parents, name = path.split("/")
        shared = 0
        while shared < min(len(parents), len(self._names)) and (
            parents[shared] == self._names[shared]
        ):
            shared += 1
        while len(self._names) > shared:
            self._names.pop()
            os.close(self._descriptors.pop())
        for part in parents[shared:]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptors.append(os.open(part, flags, dir_fd=self._descriptors[-1]))
            self._names.append(part)
        return self._descriptors[-1], name

    def make(self, path: str) -> None:
        parent, name = self.parent_of(path)
        os.mkdir(name, dir_fd=parent)
        os.chmod(name, 0o755, dir_fd=parent)


@contextlib.contextmanager
def _collision(path: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeSource(
            f"{path!r} and another path are the same to the file system of this machine.",
            hint="Rename one of them and commit again.",
        ) from error
    except OSError as error:
        raise ExternalFailure(
            f"{path!r} cannot be written: {error.strerror}.",
            hint="Look at the free space of the platform's disk.",
        ) from error
