"""Repositories that many pushes have gone through."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.adapters.git import LocalRepositories, maintenance
from app.pushes.reconcile import RepositoryReconciler

KEY = "app_01k0000000000000000000000"


@pytest.fixture
async def repositories(tmp_path: Path) -> LocalRepositories:
    made = LocalRepositories(tmp_path)
    await made.create(KEY)
    return made


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    command = ["git", "-C", str(folder / f"{KEY}.git"), *arguments]
    return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout.decode()


def _commits(folder: Path, count: int) -> list[str]:
    tree = _git(folder, "hash-object", "-t", "tree", "-w", "/dev/null").strip()
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    return [
        _git(folder, *identity, "commit-tree", tree, "-m", str(n)).strip() for n in range(count)
    ]


def _loose(folder: Path) -> int:
    objects = folder / f"{KEY}.git" / "objects"
    return sum(1 for path in objects.glob("??/*") if path.is_file())


async def test_repository_with_much_loose_is_packed_once_and_keeps_what_was_a_tip(
    repositories: LocalRepositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = _commits(tmp_path, 30)
    for old, new in zip(["0" * 40, *commits], commits, strict=False):
        _git(tmp_path, "update-ref", "--create-reflog", "refs/heads/main", new, old)
    assert await repositories.untidy() == []
    monkeypatch.setattr(maintenance, "LOOSE_OBJECTS", -1)
    assert await repositories.untidy() == [KEY]
    reconciler = RepositoryReconciler(repositories)
    for key in await reconciler.pending():
        await repositories.maintain(key)
    assert _loose(tmp_path) == 0
    assert await repositories.untidy() == []
    for sha in commits:
        assert await repositories.resolve(KEY, sha) == sha


async def test_half_received_pack_is_untidy_until_it_is_swept(
    repositories: LocalRepositories, tmp_path: Path
) -> None:
    stale = tmp_path / f"{KEY}.git" / "objects" / "tmp_objdir-incoming-abc123"
    stale.mkdir()
    (stale / "pack").write_bytes(b"x")
    assert await repositories.untidy() == [KEY]
    await repositories.maintain(KEY)
    assert not stale.exists()
    assert await repositories.untidy() == []


async def test_folder_with_odd_characters_still_gives_a_configuration_that_git_reads(
    tmp_path: Path,
) -> None:
    repositories = LocalRepositories(tmp_path / 'a "b\\c #; d')
    await repositories.create(KEY)
    assert await repositories.branches(KEY) == {}
