"""Accepting history that ends at a boundary, as a push from a shallow clone brings it.

``$GIT_DIR/shallow`` lists commits whose parents the repository does not have. A boundary commit is
added only if it really lacks a parent here, so that no push can cut off history that is present.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.adapters.git.process import GitFailed, run
from app.errors import ExternalFailure, InvalidInput
from app.refs import is_object_id

SHALLOW_FILE = "GIT_SHALLOW_FILE"
"""git reads this file in place of ``$GIT_DIR/shallow``."""
_LOCK_ATTEMPTS = 100
_LOCK_WAIT_SECONDS = 0.05
_MAX_BOUNDARY_BYTES = 8 * 1024**2
"""Of the boundary's commits together: some 30,000 of usual size."""


async def accept_boundary(
    path: Path, claimed: Sequence[str], tips: Sequence[str], env: Mapping[str, str]
) -> None:
    """Record the boundary of a push whose new tips are ``tips``.

    Raises InvalidInput when objects are missing beyond what the boundary excuses.
    """
    boundary = await _lacking_a_parent(path, [c for c in claimed if is_object_id(c)], env)
    async with asyncio.timeout(_LOCK_ATTEMPTS * _LOCK_WAIT_SECONDS * 2):
        lock = await _lock(path)
    try:
        known = _read(path)
        merged = sorted({*known, *boundary})
        await _check_connected(path, merged, tips, env)
        if merged != sorted(known):
            lock.write_text("".join(f"{commit}\n" for commit in merged))
            lock.replace(path / "shallow")
    finally:
        lock.unlink(missing_ok=True)


def _read(path: Path) -> list[str]:
    try:
        return (path / "shallow").read_text().split()
    except FileNotFoundError:
        return []


async def _lock(path: Path) -> Path:
    """git's own lock for this file."""
    lock = path / "shallow.lock"
    for _ in range(_LOCK_ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            return lock
        await asyncio.sleep(_LOCK_WAIT_SECONDS)
    raise ExternalFailure(
        "The repository's list of shallow commits stays locked.",
        hint="Push again; if it stays so, an operator removes shallow.lock from the repository.",
    )


async def _lacking_a_parent(
    path: Path, commits: Sequence[str], env: Mapping[str, str]
) -> list[str]:
    parents = await _parents(path, commits, env)
    wanted = [parent for of_one in parents.values() for parent in of_one]
    missing = await _missing(path, wanted, env)
    return [commit for commit, of_one in parents.items() if missing.intersection(of_one)]


async def _parents(
    path: Path, commits: Sequence[str], env: Mapping[str, str]
) -> dict[str, list[str]]:
    """Of those that are commits here. Two processes for all of them, and no more is read than fits.

    Raises InvalidInput when it does not.
    """
    request = "".join(f"{commit}\n" for commit in dict.fromkeys(commits)).encode()
    checked = await run("-C", str(path), "cat-file", "--batch-check", env=env, stdin=request)
    found = [line.split() for line in checked.decode().splitlines()]
    sizes = {name: int(size) for name, kind, *rest in found if kind == "commit" for size in rest}
    if sum(sizes.values()) > _MAX_BOUNDARY_BYTES:
        raise InvalidInput(
            "the history of the push ends in too many commits",
            hint="Run `git fetch --unshallow`, then push again.",
        )
    request = "".join(f"{commit}\n" for commit in sizes).encode()
    answer = await run("-C", str(path), "cat-file", "--batch", env=env, stdin=request)
    unread = io.BytesIO(answer)
    parents: dict[str, list[str]] = {}
    for commit, size in sizes.items():
        unread.readline()
        header = unread.read(size).partition(b"\n\n")[0].decode(errors="replace")
        words = (line.split(" ", 1) for line in header.split("\n"))
        parents[commit] = [rest[0] for keyword, *rest in words if keyword == "parent"]
        unread.readline()
    return parents


async def _missing(path: Path, objects: Sequence[str], env: Mapping[str, str]) -> set[str]:
    request = "".join(f"{name}\n" for name in objects).encode()
    answer = await run("-C", str(path), "cat-file", "--batch-check", env=env, stdin=request)
    return {line.split()[0] for line in answer.decode().splitlines() if line.endswith(" missing")}


async def _check_connected(
    path: Path, boundary: Sequence[str], tips: Sequence[str], env: Mapping[str, str]
) -> None:
    request = "".join(f"{tip}\n" for tip in tips)
    command = ("rev-list", "--objects", "--quiet", "--stdin", "--not", "--all")
    with as_file(boundary) as file:
        pretended = {**env, SHALLOW_FILE: file}
        try:
            await run("-C", str(path), *command, env=pretended, stdin=request.encode())
        except GitFailed as error:
            raise InvalidInput(
                "the push lacks objects that its history needs",
                hint="Run `git fetch --unshallow`, then push again.",
            ) from error


@contextlib.contextmanager
def pretending(path: Path, claimed: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """The environment in which git takes the boundary at its word, while it checks the pack."""
    if not claimed:
        yield {}
        return
    with as_file(sorted({*_read(path), *filter(is_object_id, claimed)})) as file:
        yield {SHALLOW_FILE: file}


@contextlib.contextmanager
def as_file(boundary: Sequence[str]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", prefix="paas-shallow-") as file:
        file.writelines(f"{commit}\n" for commit in boundary)
        file.flush()
        yield file.name
