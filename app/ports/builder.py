"""Makes a commit runnable: a Dockerfile into an image, a Procfile app or a static site into a slug."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.models.build import BuildKind
from app.models.deployment import FailureCode

WriteLine = Callable[[str], Awaitable[None]]
"""Stores one line of the build log. Raises BuildFailed(BUILD_LIMIT) past the line limit."""


class BuildFailed(Exception):
    """The build ended without something runnable; says why and what to do next."""

    def __init__(self, code: FailureCode, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class BuildInput:
    platform: str
    """Which platform builds: it removes no image of another's."""
    build_id: str
    app_id: str
    app_name: str
    """``acme/storefront/web``, for logs and image names."""
    commit_sha: str
    source: Path
    """The exported tree. The builder may write into it; it is removed afterwards."""
    build_env: Mapping[str, str]
    """Secret: mounted or exported for the build only; never in layers, arguments or the log."""
    inputs_digest: str
    """Keyed hash of ``build_env`` and of the settings that shape a build."""


@dataclass(frozen=True)
class BuildOutput:
    kind: BuildKind
    artifact: str
    """An image reference by digest, or the slug's SHA-256 in the SlugStore."""
    size: int
    processes: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, Any] = field(default_factory=dict)


class Builder(Protocol):
    async def build(self, build: BuildInput, write: WriteLine) -> BuildOutput:
        """Raises BuildFailed. Cancelling the task stops every process that it started."""
        ...

    async def clean(self, build_id: str) -> None:
        """Remove what an interrupted ``build`` left: processes and files. Nothing there is fine."""
        ...

    async def leftovers(self) -> list[str]:
        """Ids of the builds that have something to ``clean``, those that are running among them."""
        ...

    async def images(self, platform: str) -> Mapping[str, str]:
        """Build id to reference of every image that this machine has built for it and still holds."""
        ...

    async def remove_image(self, reference: str) -> None:
        """Forget a built image. Absent is fine, and so is an engine or a registry that is gone."""
        ...

    async def prune_cache(self, *, max_bytes: int) -> int:
        """Remove the dependencies not used for longest until the rest fits; returns the bytes freed."""
        ...

    async def close(self) -> None: ...


class SlugStore(Protocol):
    """Slugs by the SHA-256 of their bytes; storing the same twice is one file."""

    async def put(self, archive: Path) -> str: ...

    async def has(self, sha256: str) -> bool: ...

    def open(self, sha256: str) -> AsyncIterator[bytes]:
        """Raises NotFound."""
        ...

    async def size(self, sha256: str) -> int: ...

    async def delete(self, sha256: str) -> None: ...

    async def list(self) -> list[str]: ...

    def url(self, sha256: str) -> str:
        """Where an engine's node fetches it: signed, so that knowing the digest is not enough."""
        ...

    def verify(self, sha256: str, signature: str) -> bool: ...
