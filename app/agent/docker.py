"""Copies as containers of a local Docker engine, driven through its HTTP API.

The API and not the ``docker`` command: values with newlines survive, and no secret stands in an argument.
Containers go on without the agent and are found again by label.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from app.agent.dockerlogs import Spool
from app.agent.driver import Consumption, Exit, StartFailed
from app.agent.environment import Folders, build
from app.agent.http import Endpoint, HTTPFailure, request
from app.agent.logfiles import rotate, tail
from app.agent.records import CopyRecord
from app.agent.signals import background
from app.agent.spec import JobSpec
from app.agent.store import Store
from jobs.render import unescaped

_API = "/v1.41"
_LABEL = "paas.copy"
_HOME_LABEL = "paas.home"
_KNOWN_SECONDS = 5.0
_PULL_SECONDS = 600.0
_LAST_LINES_SECONDS = 10.0
_MOST_PROCESSES = 4096
"""Of one container, threads included: a fork bomb must not take the machine."""


class DockerFailure(Exception):
    """The engine refused, in its own words; ``status`` 0 when it did not answer at all."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ContainerHandle:
    def __init__(self, driver: DockerDriver, container: str) -> None:
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._driver = driver
        self._container = container
        self._waiting = background(self._wait(), f"container {container[:12]}")

    async def stop(self, signal_name: str, timeout: float) -> None:
        query = urlencode({"t": max(1, round(timeout))})
        with contextlib.suppress(DockerFailure):
            await self._driver.call(
                "POST", f"/containers/{self._container}/stop?{query}", timeout=timeout + 30
            )
        await asyncio.wait([self.exited], timeout=10)

    async def consumption(self) -> Consumption | None:
        query = "stream=false&one-shot=true"
        try:
            stats = await self._driver.call("GET", f"/containers/{self._container}/stats?{query}")
            used = stats["memory_stats"]["usage"]
            cache = stats["memory_stats"].get("stats", {}).get("inactive_file", 0)
            nanoseconds = stats["cpu_stats"]["cpu_usage"]["total_usage"]
        except (DockerFailure, KeyError):
            return None
        return Consumption(nanoseconds / 1e9, max(0, used - cache))

    async def _wait(self) -> None:
        """Also across restarts of the Docker engine: only a container's own state ends the wait."""
        while not self.exited.done():
            try:
                await self._driver.call("POST", f"/containers/{self._container}/wait", timeout=None)
                state = (await self._driver.inspect(self._container))["State"]
            except DockerFailure as failure:
                if failure.status == 404:
                    self.exited.set_result(Exit(None))
                    return
                await asyncio.sleep(1)  # the engine is away: ask again
                continue
            if not state["Running"]:
                self.exited.set_result(Exit(state["ExitCode"], oom_killed=state["OOMKilled"]))


class DockerDriver:
    """``home`` tells this agent's containers from those of another on the same Docker engine."""

    def __init__(self, store: Store, socket: str = "/var/run/docker.sock") -> None:
        self._store = store
        self._home = str(store.folder)
        self._endpoint = Endpoint(unix=socket)
        self._available = (float("-inf"), False)
        self._spools: dict[str, Spool] = {}

    async def available(self) -> bool:
        """Whether a Docker engine answers; asked at most every few seconds."""
        asked, answer = self._available
        if time.monotonic() - asked > _KNOWN_SECONDS:
            try:
                await self.call("GET", "/version", timeout=3)
                answer = True
            except DockerFailure:
                answer = False
            self._available = (time.monotonic(), answer)
        return answer

    async def start(
        self, copy: CopyRecord, spec: JobSpec, secrets: Mapping[str, str]
    ) -> ContainerHandle:
        await self.remove(copy)
        try:
            await self._ensure_image(spec.config["image"])
            created = await self.call(
                "POST",
                f"/containers/create?name={_name(copy)}",
                self._container(copy, spec, secrets),
            )
            copy.container = created["Id"]
            self._store.save_copy(copy)
            await self.call("POST", f"/containers/{copy.container}/start")
        except DockerFailure as failure:
            raise StartFailed(
                f"Docker cannot run the app's image: {failure}",
                permanent=failure.status in {400, 404},
            ) from failure
        return self._running(copy)

    async def adopt(self, copy: CopyRecord, spec: JobSpec) -> ContainerHandle | None:
        try:
            found = await self.inspect(_name(copy))
        except DockerFailure as failure:
            return None if failure.status == 404 or not copy.container else self._hope(copy)
        if not found["State"]["Running"]:
            return None
        copy.container = found["Id"]
        return self._running(copy)

    async def log_tail(self, copy: CopyRecord, lines: int) -> Sequence[str]:
        return tail(self._store.log_paths(copy.id), lines)

    async def remove(self, copy: CopyRecord) -> None:
        """Wait until its last lines are here, then remove the container with its anonymous volumes."""
        spool = self._spools.pop(copy.id, None)
        if spool is not None:
            await spool.finish(_LAST_LINES_SECONDS)
        await self._remove(_name(copy))
        copy.container = ""

    async def remove_strays(self, known: set[str]) -> None:
        """Containers of this agent that no record knows of."""
        if not await self.available():
            return
        filters = msgspec.json.encode({"label": [f"{_HOME_LABEL}={self._home}"]}).decode()
        query = urlencode({"all": "true", "filters": filters})
        for container in await self.call("GET", f"/containers/json?{query}"):
            if container["Labels"].get(_LABEL) not in known:
                await self._remove(container["Id"])

    async def inspect(self, container: str) -> Any:
        return await self.call("GET", f"/containers/{container}/json")

    async def call(
        self, method: str, path: str, body: Any = None, *, timeout: float | None = 60.0
    ) -> Any:
        """The decoded answer, None when it is empty. Raises DockerFailure."""
        content = await self._raw(method, path, body, timeout)
        return msgspec.json.decode(content) if content.strip() else None

    async def _raw(self, method: str, path: str, body: Any, timeout: float | None) -> bytes:
        headers = [("Content-Type", "application/json")] if body is not None else []
        encoded = b"" if body is None else msgspec.json.encode(body)
        try:
            async with request(
                self._endpoint, method, _API + path, headers=headers, body=encoded, timeout=timeout
            ) as response:
                content = await response.read()
        except HTTPFailure as failure:
            raise DockerFailure(f"the Docker engine does not answer ({failure})") from failure
        if response.status >= 400:
            raise DockerFailure(_message(content), response.status)
        return content

    def _hope(self, copy: CopyRecord) -> ContainerHandle:
        """Docker is away just now, not the container: its handle asks until Docker answers."""
        return self._running(copy)

    def enforce_limits(self) -> None:
        """Keep the copies' logs within bounds."""
        for copy_id in self._spools:
            for path in self._store.log_paths(copy_id):
                rotate(path)

    def _running(self, copy: CopyRecord) -> ContainerHandle:
        handle = ContainerHandle(self, copy.container)
        self._spools[copy.id] = Spool(
            self._store, self._endpoint, _API, copy.id, copy.container, handle.exited
        )
        return handle

    def _container(
        self, copy: CopyRecord, spec: JobSpec, secrets: Mapping[str, str]
    ) -> dict[str, Any]:
        environment = build(copy, spec, Folders("/local", "/alloc", "/secrets"), secrets)
        inside = f"{spec.port_inside or copy.port}/tcp"
        command = [spec.config["command"], *spec.config["args"]] if "command" in spec.config else []
        return {
            "Image": spec.config["image"],
            **({"Cmd": [unescaped(argument) for argument in command]} if command else {}),
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Labels": {_LABEL: copy.id, _HOME_LABEL: self._home, "paas.job": copy.job},
            "StopSignal": spec.kill_signal,
            "ExposedPorts": {inside: {}},
            "HostConfig": {
                "Init": bool(spec.config.get("init")),
                "Memory": spec.memory_mb << 20,
                "MemorySwap": spec.memory_mb << 20,
                "PidsLimit": _MOST_PROCESSES,
                "NanoCpus": spec.cpu * 1_000_000,
                "PortBindings": {inside: [{"HostIp": "127.0.0.1", "HostPort": str(copy.port)}]},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
            },
        }

    async def _ensure_image(self, image: str) -> None:
        try:
            await self.call("GET", f"/images/{quote(image)}/json")
        except DockerFailure as failure:
            if failure.status != 404:
                raise
            query = urlencode({"fromImage": image})
            answer = await self._raw("POST", f"/images/create?{query}", None, _PULL_SECONDS)
            _raise_pull_error(answer)

    async def _remove(self, container: str) -> None:
        with contextlib.suppress(DockerFailure):
            await self.call("DELETE", f"/containers/{container}?force=true&v=true")


def _name(copy: CopyRecord) -> str:
    return f"paas-{copy.id}"


def _message(content: bytes) -> str:
    try:
        return str(msgspec.json.decode(content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return content[:300].decode(errors="replace")


def _raise_pull_error(answer: bytes) -> None:
    """A failed pull answers 200, with the error in the last of its progress lines."""
    for line in answer.splitlines():
        if b'"error"' in line:
            raise DockerFailure(str(msgspec.json.decode(line)["error"]), 404)
