"""Reading commits with GitPython.

The library is imported on first use: it costs 10 MB that a process which only serves fetches need not
have. Its repository object is closed after each use, because it keeps a git process for look-ups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from app.ports.repositories import Commit

if TYPE_CHECKING:
    import git

MAX_COMMIT_BYTES = 1024**2
"""A longer one is not read: a push of 1 MB can hold a commit that takes 1 GB of memory."""
MAX_MESSAGE = 10_000
"""Characters: it stands in every list of deployments."""


def read_commits(
    repository: Path, shas: Sequence[str], env: Mapping[str, str]
) -> list[Commit | None]:
    """Blocking. ``shas`` are full object ids; None for what is missing, too long, or no commit."""
    import git

    with git.Repo(str(repository)) as opened:
        opened.git.update_environment(**env)
        return [_read(opened, sha) for sha in shas]


def _read(repository: git.Repo, sha: str) -> Commit | None:
    try:
        if repository.odb.info(bytes.fromhex(sha)).size > MAX_COMMIT_BYTES:
            return None
        commit = repository.commit(sha)
        message, author = commit.message, commit.author
        committed_at = commit.committed_datetime.astimezone(UTC)
    except ValueError:
        return None
    text = message.decode(errors="replace") if isinstance(message, bytes) else message
    return Commit(
        sha=commit.hexsha,
        message=text[:MAX_MESSAGE].replace("\0", "\ufffd"),
        author=f"{author.name} <{author.email}>",
        committed_at=committed_at,
    )
