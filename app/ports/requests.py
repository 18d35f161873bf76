"""What routers counted of the requests they served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.metrics.plan import Requests


class RequestCounters(Protocol):
    async def read(self) -> Mapping[str, Mapping[str, Requests]]:
        """By router, by service name, since that router started. A router that does not answer is left out."""
        ...
