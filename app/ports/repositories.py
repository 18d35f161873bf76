"""Git repositories. Nothing outside an adapter knows where they are, or that they are on a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from app.errors import InvalidInput

Service = Literal["git-upload-pack", "git-receive-pack"]
Send = Callable[[bytes], Awaitable[None]]


class UnsafeSource(InvalidInput):
    """The commit's tree tries to leave its folder, or holds what cannot be written safely."""


class SourceTooLarge(InvalidInput):
    """The commit's tree is larger, or has more files, than the limit in the message."""


@dataclass(frozen=True)
class Commit:
    sha: str
    message: str
    author: str
    committed_at: datetime


@dataclass(frozen=True)
class RefUpdate:
    """One line of a push; ``old`` or ``new`` all zeros means created or deleted."""

    ref: str
    old: str
    new: str

    @property
    def deletes(self) -> bool:
        return set(self.new) == {"0"}


@dataclass(frozen=True)
class RefResult:
    ref: str
    error: str | None = None
    """None accepts the update; else the client is shown ``[remote rejected] (error)``."""


Progress = Callable[[str], Awaitable[None]]
"""Shows one line at the pushing client; never fails when the client is gone."""

ReceiveHandler = Callable[
    [Sequence[RefUpdate], Mapping[str, str], Progress], Awaitable[Sequence[RefResult]]
]
"""Called when the objects are stored and checked, and before any ref has moved: it moves the refs
itself with ``update_ref``. Given the updates, the push options (``-o key=value``; a bare ``-o key``
has an empty value) and the way to talk to the client."""


class Repositories(Protocol):
    async def create(self, key: str) -> None:
        """Make an empty repository whose HEAD is ``main``; existing is fine."""
        ...

    async def delete(self, key: str) -> None: ...

    async def list(self) -> Sequence[str]: ...

    def advertise(self, key: str, service: Service, protocol: str) -> AsyncIterator[bytes]:
        """The body of ``GET info/refs``. ``protocol`` is the Git-Protocol header."""
        ...

    async def upload_pack(
        self, key: str, body: AsyncIterator[bytes], send: Send, protocol: str
    ) -> None: ...

    async def receive_pack(
        self,
        key: str,
        body: AsyncIterator[bytes],
        send: Send,
        protocol: str,
        handler: ReceiveHandler,
    ) -> None:
        """Stream a push in. A body that ends early leaves the repository as it was."""
        ...

    async def update_ref(self, key: str, update: RefUpdate) -> bool:
        """Move a ref if it still is at ``update.old``; False when it is not."""
        ...

    async def resolve(self, key: str, ref: str) -> str | None:
        """The commit that a branch, full ref or sha names; None when there is none."""
        ...

    async def branches(self, key: str) -> Mapping[str, str]: ...

    async def commit(self, key: str, sha: str) -> Commit | None: ...

    async def log(self, key: str, old: str | None, new: str, *, limit: int) -> Sequence[Commit]:
        """Commits in ``new`` and not in ``old``, newest first."""
        ...

    async def export(
        self, key: str, sha: str, into: Path, *, max_bytes: int, max_files: int
    ) -> None:
        """Write the commit's tree into an empty folder.

        Raises UnsafeSource or SourceTooLarge before anything is written outside of the limits.
        """
        ...
