"""Telling whoever keeps the code what became of a commit."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from app.models.remote import RemoteHost


class State(enum.StrEnum):
    """What GitHub and Gitea both know."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    """It was given up: cancelled, or a newer one took its place."""


@dataclass(frozen=True)
class Report:
    """``context`` tells statuses of one commit apart: a later one of the same replaces it."""

    commit_sha: str
    state: State
    context: str
    description: str
    target_url: str | None


@dataclass(frozen=True)
class Repository:
    host: RemoteHost
    url: str
    """As it is cloned: ``https://github.com/octo/web.git``."""
    token: str = field(repr=False)


class CommitStatuses(Protocol):
    async def report(self, repository: Repository, report: Report) -> None:
        """Raises ExternalFailure with the reason when the host did not take it."""
        ...
