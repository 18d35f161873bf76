"""What the router knows of an instance: Consul's catalog, or the embedded engine's own table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Route:
    """One copy that the router may send requests to."""

    service: str
    address: str
    healthy: bool
    allocation_id: str = ""
    node: str = ""
    registration_id: str = ""


class Ingress(Protocol):
    """Raises ExternalFailure when the catalog does not answer."""

    async def routes(self, service: str) -> Sequence[Route]: ...

    async def serves(self, hostname: str, release_id: str, *, alone: bool = False) -> bool:
        """Whether the router itself has a live server of this release for the hostname.

        ``alone``: and none of another release, so that every answer is this one's.
        """
        ...

    async def services(self) -> Sequence[str]:
        """Names of every service of this platform (tag ``paas``)."""
        ...

    async def remove(self, service: str) -> None:
        """Deregister what is left of a service whose job is gone. Absent is fine."""
        ...

    async def register_platform(self, name: str, host: str, port: int) -> None:
        """Make the platform's own endpoint known, with a check."""
        ...

    async def deregister_platform(self, name: str) -> None: ...

    async def close(self) -> None: ...
