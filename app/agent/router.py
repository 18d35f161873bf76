"""The routing table that Traefik fetches, and what Traefik itself says it has taken up.

Removing a copy is safe only when Traefik no longer sends it requests. Traefik's API answers from the
very configuration that its entry points use, so asking it is certain; waiting a fixed time would not be.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from app.agent.http import Endpoint, HTTPFailure, request
from app.agent.routing import Backend, render

logger = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 0.03
_PRESENT_SECONDS = 2.0
"""Traefik fetches every 200 ms; after this long without a fetch there is none."""


@dataclass(frozen=True)
class RouterSettings:
    api: Endpoint
    """Traefik's API."""
    patience: float = 15.0
    """Seconds to wait for Traefik to take a change up."""


class Router:
    """One table for all jobs. ``body`` is kept serialised: Traefik fetches it five times a second."""

    def __init__(self, settings: RouterSettings) -> None:
        self._settings = settings
        self._fetched = float("-inf")
        self._version = 0
        self._fetched_version = -1
        self.body = render([])

    def publish(self, backends: Iterable[Backend]) -> None:
        body = render(backends)
        if body != self.body:
            self.body = body
            self._version += 1

    def fetch(self) -> bytes:
        """The body for Traefik; remembers that it asked."""
        self._fetched = time.monotonic()
        self._fetched_version = self._version
        return self.body

    async def confirm(self, service: str, taken_up: Callable[[set[str]], bool]) -> bool:
        """Wait until Traefik's servers of the service (``127.0.0.1:20001``) satisfy ``taken_up``.

        True when they do, or when no Traefik is there to be asked; False after ``patience`` seconds.
        """
        deadline = time.monotonic() + self._settings.patience
        while time.monotonic() < deadline:
            servers = await self._servers(service)
            if servers is not None and taken_up(servers):
                return True
            if servers is None and (not self._present() or self._fetched_version == self._version):
                return True
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        logger.warning("Traefik did not take up the routes of %s", service)
        return False

    def _present(self) -> bool:
        return time.monotonic() - self._fetched < _PRESENT_SECONDS

    async def _servers(self, service: str) -> set[str] | None:
        """None when Traefik's API does not answer."""
        path = f"/api/http/services/{quote(service)}@http"
        try:
            async with request(self._settings.api, "GET", path, timeout=2) as response:
                if response.status == 404:
                    return set()
                if response.status != 200:
                    return None
                content = await response.read()
        except HTTPFailure:
            return None
        return _addresses(msgspec.json.decode(content))


def _addresses(service: Any) -> set[str]:
    servers = (service.get("loadBalancer") or {}).get("servers") or ()
    return {server["url"].removeprefix("http://") for server in servers}
