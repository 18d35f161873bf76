"""The tokens of a one-machine Nomad, and putting its node to rest.

The platform itself gets a token with ``nomad/acl/platform-policy.hcl`` and, for the namespaces that only a
management token may make, the path of the management token's file.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from app.engines.paths import configuration_folder
from app.errors import ExternalFailure

POLICY = "paas"
_DRAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Access:
    address: str
    management_token_file: Path
    platform_token_file: Path

    @property
    def management_token(self) -> str:
        return self.management_token_file.read_text().strip()

    @property
    def platform_token(self) -> str:
        return self.platform_token_file.read_text().strip()


async def prepare(address: str, home: Path) -> Access:
    """Bootstrap the ACLs once, apply the policy, mint the platform's token.

    Idempotent. Raises ExternalFailure when Nomad was bootstrapped and its token's file is lost.
    """
    folder = home / "nomad"
    access = Access(address, folder / "management.token", folder / "platform.token")
    async with _Api(address) as api:
        await _bootstrap(api, access)
        api.token = access.management_token
        await _apply_policy(api)
        await _mint(api, access)
    return access


async def resume(access: Access) -> None:
    """Let the node take work again, after ``drain``: once the API is there from which it fetches slugs."""
    async with _Api(access.address, access.management_token) as api:
        for node in await api.get("/v1/nodes"):
            if node["SchedulingEligibility"] != "eligible" or node.get("Drain"):
                await api.post(
                    f"/v1/node/{node['ID']}/drain", {"DrainSpec": None, "MarkEligible": True}
                )


async def drain(access: Access, data: Path) -> None:
    """Stop every task here and wait until they and their mounts are gone; the jobs stay registered, and
    ``resume`` brings them back. ``data`` is Nomad's data folder. Raises ExternalFailure when some do
    not end."""
    async with _Api(access.address, access.management_token) as api:
        nodes = await api.get("/v1/nodes")
        for node in nodes:
            spec = {"DrainSpec": {"Deadline": -1, "IgnoreSystemJobs": False}}
            await api.post(f"/v1/node/{node['ID']}/drain", {**spec, "MarkEligible": False})
        deadline = time.monotonic() + _DRAIN_SECONDS
        while running := await _running(api, nodes):
            _give_up_after(deadline, running)
            await asyncio.sleep(0.1)
        await api.get("/v1/client/gc")
        while mounted := mounts_below(data):
            _give_up_after(deadline, mounted)
            await asyncio.sleep(0.1)
        await api.snapshot()


def mounts_below(folder: Path) -> list[str]:
    """Mount points in a folder: Nomad leaves those of a task until it collects the task's remains."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except FileNotFoundError:  # no Linux: no mounts either
        return []
    points = [line.split()[1] for line in lines]
    return [point for point in points if point.startswith(f"{folder}/")]


def _give_up_after(deadline: float, left: list[str]) -> None:
    if time.monotonic() > deadline:
        raise ExternalFailure(f"Nomad did not stop all in time; left: {', '.join(left[:5])}")


async def _running(api: _Api, nodes: Any) -> list[str]:
    found: list[str] = []
    for node in nodes:
        placed = await api.get(f"/v1/node/{node['ID']}/allocations")
        found += [a["Name"] for a in placed if a["ClientStatus"] in {"running", "pending"}]
    return found


async def _bootstrap(api: _Api, access: Access) -> None:
    deadline = time.monotonic() + 30
    while True:
        status, answer = await api.call("POST", "/v1/acl/bootstrap", {})
        if status == 200:
            _write_secret(access.management_token_file, answer["SecretID"])
            return
        if status == 400 and "already done" in str(answer):
            break
        if time.monotonic() > deadline:
            raise ExternalFailure(f"Nomad's ACLs cannot be bootstrapped: {answer}")
        await asyncio.sleep(0.2)
    if not access.management_token_file.exists():
        raise ExternalFailure(
            f"Nomad at {access.address} was bootstrapped before, and {access.management_token_file} is gone.",
            hint="Put its management token's secret id into that file; or stop Nomad and remove its folder.",
        )


async def _apply_policy(api: _Api) -> None:
    rules = (configuration_folder() / "acl" / "platform-policy.hcl").read_text()
    await api.post(
        f"/v1/acl/policy/{POLICY}", {"Name": POLICY, "Description": "The PaaS", "Rules": rules}
    )


async def _mint(api: _Api, access: Access) -> None:
    if access.platform_token_file.exists():
        own = _Api(access.address, access.platform_token)
        async with own:
            status, _ = await own.call("GET", "/v1/acl/token/self")
        if status == 200:
            return
    token = await api.post(
        "/v1/acl/token", {"Name": "paas", "Type": "client", "Policies": [POLICY]}
    )
    _write_secret(access.platform_token_file, token["SecretID"])


def _write_secret(file: Path, secret: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(secret + "\n")


class _Api:
    """A few calls with a management token, which the platform itself never makes."""

    def __init__(self, address: str, token: str = "") -> None:
        self._address = address.rstrip("/")
        self.token = token
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> _Api:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any:
        return self._checked(path, *await self.call("GET", path))

    async def post(self, path: str, body: Any) -> Any:
        return self._checked(path, *await self.call("POST", path, body))

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"X-Nomad-Token": self.token} if self.token else {}
        try:
            async with self._session.request(
                method, self._address + path, json=body, headers=headers
            ) as response:
                if response.content_type == "application/json":
                    return response.status, await response.json()
                return response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExternalFailure(f"Nomad at {self._address} does not answer: {error}") from error

    async def snapshot(self) -> None:
        """Make the server write its state to disk at once, by asking for a copy.

        A server that starts from its log alone knows no node until it has elected itself; the node, refused
        meanwhile, asks again after 15 s only.
        """
        headers = {"X-Nomad-Token": self.token}
        url = f"{self._address}/v1/operator/snapshot"
        try:
            async with self._session.get(url, headers=headers) as response:
                async for _ in response.content.iter_any():
                    pass
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExternalFailure(f"Nomad at {self._address} does not answer: {error}") from error

    def _checked(self, path: str, status: int, answer: Any) -> Any:
        if status >= 300:
            raise ExternalFailure(f"Nomad refuses {path}: {answer}")
        return answer
