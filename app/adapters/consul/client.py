"""py-consul's asyncio client, its failures translated."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import consul
from consul import aio
from consul.callback import CB

from app.errors import ExternalFailure, Forbidden, InvalidInput
from app.settings import Settings

T = TypeVar("T")

_SECONDS = 10
_CONNECTIONS = 32


class Consul:
    """Opened at first use: the library binds its connections to the running loop when it is made."""

    def __init__(self, settings: Settings) -> None:
        if not settings.consul_addr:
            raise InvalidInput(
                "No address of Consul is set.",
                field="consul_addr",
                hint="Set PAAS_CONSUL_ADDR (or CONSUL_HTTP_ADDR), such as 127.0.0.1:8500.",
            )
        self.address = settings.consul_addr
        self._token = settings.consul_token
        self._client: Any = None

    @property
    def api(self) -> Any:
        if self._client is None:
            at = urlsplit(self.address if "://" in self.address else f"http://{self.address}")
            self._client = aio.Consul(
                host=at.hostname,
                port=at.port or 8500,
                scheme=at.scheme,
                verify=at.scheme == "https",
                connections_limit=_CONNECTIONS,
                connections_timeout=_SECONDS,
            )
            # The library prefers the environment's token to the one it is given.
            self._client.token = self._token or None
        return self._client

    async def call(self, request: Awaitable[T]) -> T:
        """Await one request of ``api``. Raises ExternalFailure, or Forbidden when the token may not."""
        try:
            return await request
        except consul.ACLPermissionDenied as error:
            raise Forbidden(
                f"Consul does not allow this to the platform's token: {error}",
                hint="Give it nomad/acl/consul-platform-policy.hcl and set PAAS_CONSUL_TOKEN.",
            ) from error
        except (consul.ConsulException, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ExternalFailure(
                f"Consul at {self.address} does not answer: {str(error) or 'timed out'}",
                hint="Check that it runs (`consul members`) and that PAAS_CONSUL_ADDR is right.",
            ) from error

    async def deregister_from_catalog(self, node: str, registration: str) -> None:
        """Spelled out, since the library's own call sends a token in a form that Consul refuses."""
        body = json.dumps({"Node": node, "ServiceID": registration})
        headers = self.api.prepare_headers()
        await self.call(
            self.api.http.put(CB.boolean(), "/v1/catalog/deregister", headers=headers, data=body)
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
