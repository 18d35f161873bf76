"""Bringing a branch of a repository elsewhere into one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.errors import ExternalFailure


class RemoteRefused(ExternalFailure):
    """The remote will not be fetched from: asking again changes nothing until somebody does something."""


@dataclass(frozen=True)
class Source:
    url: str
    """``https://…`` (or ``http://``), without credentials."""
    addresses: Sequence[str]
    """Where the URL's host is, as it was judged: no other address is connected to."""
    user: str = ""
    password: str = field(default="", repr=False)
    """Empty: without credentials."""


class Mirrors(Protocol):
    async def fetch(self, key: str, source: Source, branch: str) -> str | None:
        """Store the branch's newest commit and all that it needs; no ref that anybody sees moves.

        Returns the commit, or None when the remote has no such branch. Raises ExternalFailure.
        """
        ...
