"""Repositories that hold commits and nothing else: what the REST endpoints ask of the port."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from app.ports.repositories import Commit


class Commits:
    def __init__(self) -> None:
        self._branches: dict[str, str] = {}
        self._commits: dict[str, Commit] = {}

    def add(self, branch: str, message: str = "Change it") -> str:
        """A commit on the branch of every repository."""
        sha = hashlib.sha1(f"{branch}{message}".encode(), usedforsecurity=False).hexdigest()
        self._branches[branch] = sha
        self._commits[sha] = Commit(sha, message, "Ada <ada@example.com>", datetime.now(UTC))
        return sha

    async def resolve(self, key: str, ref: str) -> str | None:
        if ref in self._commits:
            return ref
        return self._branches.get(ref.removeprefix("refs/heads/"))

    async def commit(self, key: str, sha: str) -> Commit | None:
        return self._commits.get(sha)
