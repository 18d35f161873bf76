"""What Consul's checks say of a job's copies: whether anything listens on their ports.

Nomad knows the result only as a whole (healthy or not, and during rollouts alone), which does not tell a
process that runs and never listens from one that is still starting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp
import msgspec

from app.settings import Settings

_ALLOCATION = re.compile(r"_nomad-(?:task|group)-([0-9a-f-]{36})-")


class Catalog:
    def __init__(self, settings: Settings, *, timeout: float = 2.0) -> None:
        self._address = settings.consul_addr.rstrip("/")
        self._token = settings.consul_token
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def listening(self, service: str) -> Mapping[str, bool]:
        """By allocation id. Empty when there is no Consul or it does not answer: then nobody can tell,
        and no rollout depends on it."""
        if not self._address:
            return {}
        if self._session is None:
            headers = {"X-Consul-Token": self._token} if self._token else {}
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=headers)
        url = f"{_with_scheme(self._address)}/v1/health/checks/{service}"
        try:
            async with self._session.get(url) as response:
                if response.status != 200:
                    return {}
                checks = msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            return {}
        found: dict[str, bool] = {}
        for check in checks:
            match = _ALLOCATION.search(check.get("ServiceID", ""))
            if match:
                found[match[1]] = check["Status"] == "passing"
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _with_scheme(address: str) -> str:
    return address if "://" in address else f"http://{address}"
