"""Git repositories. Nothing outside an adapter knows where they are, or that they are on a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from app.errors import InvalidInput

Service = Literal["git-upload-pack", "git-receive-pack"]
Send = Callable[[bytes], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up before its request was complete."""


class RefRefused(InvalidInput):
    """The ref cannot be moved there: not a commit, or a name that another ref stands in the way of."""


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


@dataclass(frozen=True)
class Exchange:
    """One request of a git client, as streams."""

    body: AsyncIterator[bytes]
    """Raises ClientGone when the client hangs up before the end."""
    send: Send
    """Waits while the client reads slowly; does nothing when it is gone."""
    protocol: str
    """The Git-Protocol header, empty without one."""
    gone: asyncio.Event
    """Set when the client hung up, whether or not its request was complete."""
    large: bool = False
    """More than a few files' changes: what it brings is better kept as it comes than stored one by one."""


class PushClient(Protocol):
    """The pushing client's terminal."""

    @property
    def gone(self) -> asyncio.Event: ...

    async def say(self, line: str) -> None:
        """Show one line; nothing happens when the client is gone."""
        ...


@dataclass(frozen=True)
class ReceivedPush:
    updates: Sequence[RefUpdate]
    options: Mapping[str, str]
    """``-o key=value``; a bare ``-o key`` has an empty value."""
    atomic: bool
    """All of the updates, or none."""
    client: PushClient


ReceiveHandler = Callable[[ReceivedPush], Awaitable[Sequence[RefResult]]]
"""Called when the objects are stored and checked, and before any ref has moved: it moves the refs
itself with ``update_refs``. An update without a result is refused."""

Arrived = Callable[[Sequence[RefUpdate]], None]
"""Called when all of a push is here, before it is checked: the handler may be asked for the same soon."""


def ignore_arrival(updates: Sequence[RefUpdate]) -> None:
    """For handlers that do not prepare."""


class Repositories(Protocol):
    async def create(self, key: str) -> None:
        """Make an empty repository whose HEAD is ``main``; existing is fine."""
        ...

    async def delete(self, key: str) -> None: ...

    async def list(self) -> Sequence[str]: ...

    def advertise(self, key: str, service: Service, protocol: str) -> AsyncIterator[bytes]:
        """The body of ``GET info/refs``. ``protocol`` is the Git-Protocol header."""
        ...

    async def upload_pack(self, key: str, exchange: Exchange) -> None:
        """Answer a clone or fetch."""
        ...

    async def receive_pack(
        self,
        key: str,
        exchange: Exchange,
        handler: ReceiveHandler,
        *,
        arrived: Arrived = ignore_arrival,
    ) -> None:
        """Stream a push in. A body that ends early leaves the repository as it was.

        A client that hangs up later interrupts nothing: the handler runs to its end.
        """
        ...

    async def update_refs(self, key: str, updates: Sequence[RefUpdate]) -> bool:
        """Move all refs, or none: False when one of them is not at its ``old`` any more.

        Raises RefRefused when a ref can never be moved so.
        """
        ...

    async def read_ref(self, key: str, ref: str) -> str | None:
        """The object id at a full ref, None when there is no such ref."""
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

    async def untidy(self) -> Sequence[str]:
        """The repositories that ``maintain`` would help now; cheap enough to ask often."""
        ...

    async def maintain(self, key: str) -> None:
        """Pack what many pushes left loose and remove what aborted ones left behind.

        Safe at any time: objects younger than two weeks stay, and so does whatever was ever a branch's tip.
        """
        ...
