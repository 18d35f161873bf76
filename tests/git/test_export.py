"""Trees that no honest client would send."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from app.adapters.git import LocalRepositories
from app.adapters.git.tree import check_path
from app.ports.repositories import SourceTooLarge, UnsafeSource

KEY = "app_01k0000000000000000000000"


class Forge:
    """Objects written straight into the repository, past every check of a push."""

    def __init__(self, folder: Path) -> None:
        self.repositories = LocalRepositories(folder)
        self._path = folder / f"{KEY}.git"

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        command = ["git", "-C", str(self._path), *arguments]
        return (
            subprocess.run(command, input=stdin, check=True, capture_output=True)
            .stdout.decode()
            .strip()
        )

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content)

    def tree(self, *entries: tuple[str, str, str, bytes]) -> str:
        """Mode, kind, object, name."""
        lines = [f"{mode} {kind} {oid}\t".encode() + name for mode, kind, oid, name in entries]
        return self.git("mktree", "-z", "--missing", stdin=b"\0".join(lines) + b"\0")

    def commit(self, tree: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        return self.git(*identity, "commit-tree", tree, "-m", "evil")


@pytest.fixture
async def forge(tmp_path: Path) -> Forge:
    made = Forge(tmp_path / "repositories")
    await made.repositories.create(KEY)
    return made


async def _refused(
    forge: Forge, tree: str, tmp_path: Path, kind: type[Exception] = UnsafeSource
) -> str:
    into = tmp_path / "out"
    into.mkdir()
    with pytest.raises(kind) as caught:
        await forge.repositories.export(
            KEY, forge.commit(tree), into, max_bytes=10**7, max_files=1000
        )
    assert list(into.iterdir()) == []
    return str(caught.value)


async def test_tree_that_names_gits_own_folder(forge: Forge, tmp_path: Path) -> None:
    blob = forge.blob(b"x")
    hooks = forge.tree(("100755", "blob", blob, b"post-checkout"))
    said = await _refused(forge, forge.tree(("040000", "tree", hooks, b".git")), tmp_path)
    assert "git's own folder" in said


async def test_path_component_that_walks_up(forge: Forge, tmp_path: Path) -> None:
    inner = forge.tree(("100644", "blob", forge.blob(b"x"), b"evil"))
    await _refused(forge, forge.tree(("040000", "tree", inner, b"..")), tmp_path)


async def test_name_that_is_not_utf8(forge: Forge, tmp_path: Path) -> None:
    tree = forge.tree(("100644", "blob", forge.blob(b"x"), b"\xff\xfe"))
    assert "not UTF-8" in await _refused(forge, tree, tmp_path)


async def test_submodule_is_said_to_be_one(forge: Forge, tmp_path: Path) -> None:
    tree = forge.tree(("160000", "commit", "1" * 40, b"vendor"))
    assert "'vendor' is a git submodule" in await _refused(forge, tree, tmp_path)


async def test_file_below_a_link_of_the_same_name(forge: Forge, tmp_path: Path) -> None:
    inner = forge.tree(("100644", "blob", forge.blob(b"x"), b"passwd"))
    link = forge.blob(b"sub")
    tree = forge.tree(("120000", "blob", link, b"a"), ("040000", "tree", inner, b"a"))
    await _refused(forge, tree, tmp_path)


async def test_same_file_twice(forge: Forge, tmp_path: Path) -> None:
    one, two = forge.blob(b"1"), forge.blob(b"2")
    tree = forge.tree(("100644", "blob", one, b"a"), ("100644", "blob", two, b"a"))
    commit = forge.commit(tree)
    with pytest.raises(UnsafeSource, match="the same"):
        await forge.repositories.export(KEY, commit, tmp_path, max_bytes=10**7, max_files=1000)


@pytest.mark.parametrize("leaf", ["file", "empty folder"])
async def test_tree_that_unfolds_into_billions_is_left_early(
    forge: Forge, tmp_path: Path, leaf: str
) -> None:
    if leaf == "file":
        tree = forge.tree(("100644", "blob", forge.blob(b"x"), b"f"))
    else:
        tree = forge.git("hash-object", "-t", "tree", "-w", "/dev/null")
    for _ in range(10):
        tree = forge.tree(*(("040000", "tree", tree, b"d%d" % n) for n in range(10)))
    started = time.process_time()
    assert "more than 1000" in await _refused(forge, tree, tmp_path, SourceTooLarge)
    assert time.process_time() - started < 5


async def test_one_blob_named_a_thousand_times_counts_each_time(
    forge: Forge, tmp_path: Path
) -> None:
    blob = forge.blob(b"x" * 100_000)
    tree = forge.tree(*(("100644", "blob", blob, b"f%04d" % n) for n in range(500)))
    assert "larger than" in await _refused(forge, tree, tmp_path, SourceTooLarge)


@pytest.mark.parametrize(
    "path",
    [
        "a/.GIT/config",
        "a/.git /x",
        "a/.g\u200cit/x",
        "git~1",
        ".git::$INDEX_ALLOCATION/x",
        "a//b",
        "./a",
        "a/../b",
        "new\nline",
        "x" * 256,
        "a/" * 2500 + "a",
    ],
)
def test_path_that_could_be_written_as_something_else_is_refused(path: str) -> None:
    with pytest.raises(UnsafeSource):
        check_path(path)


@pytest.mark.parametrize(
    "path", [".gitignore", ".github/x.yml", "a b/ü.txt", "-x", "git~10", "a:b"]
)
def test_ordinary_path_is_accepted(path: str) -> None:
    check_path(path)


async def test_abandoned_export_stops(forge: Forge, tmp_path: Path) -> None:
    blob = forge.blob(b"x")
    tree = forge.tree(*(("100644", "blob", blob, b"f%05d" % n) for n in range(20_000)))
    commit = forge.commit(tree)
    into = tmp_path / "out"
    into.mkdir()
    exporting = asyncio.create_task(
        forge.repositories.export(KEY, commit, into, max_bytes=10**9, max_files=10**6)
    )
    while not any(into.iterdir()):  # noqa: ASYNC110 - a thread makes it true
        await asyncio.sleep(0.001)
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    written = len(list(into.iterdir()))
    assert 0 < written < 20_000
