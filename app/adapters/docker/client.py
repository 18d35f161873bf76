"""The Docker command line: which one can build, and questions to it."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ExternalFailure
from app.settings import inherited_environment

ENVIRONMENT = (
    "PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
_DEBIAN = "/usr/bin/docker"
_BUILDX_SPLIT_OFF = 23
"""From this major version on the client builds with BuildKit through a plugin, which may be missing."""
_ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class DockerClient:
    path: str

    async def ask(self, *arguments: str) -> str:
        """The output of ``docker …``. Raises ExternalFailure with its last words."""
        status, output = await _run(self.path, *arguments)
        if status != 0:
            raise ExternalFailure(f"`docker {arguments[0]}` failed: {output[-500:]}")
        return output

    async def inspect(self, image: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(await self.ask("image", "inspect", image))
        return found[0]


async def find_client() -> DockerClient:
    """The first client that reaches an engine and can build with BuildKit.

    Raises ExternalFailure saying what was tried and why each was not it.
    """
    refused = []
    for path in _candidates():
        reason = await _unusable(path)
        if reason is None:
            return DockerClient(path)
        refused.append(f"{path} {reason}")
    raise ExternalFailure("; ".join(refused) or "no `docker` command is installed")


def _candidates() -> list[str]:
    folders = [Path(folder) for folder in os.get_exec_path()]
    found = [str(folder / "docker") for folder in folders if os.access(folder / "docker", os.X_OK)]
    debian_first = [_DEBIAN] if os.access(_DEBIAN, os.X_OK) else []
    return list(dict.fromkeys([*debian_first, *found]))


async def _unusable(path: str) -> str | None:
    status, output = await _run(
        path, "version", "--format", "{{.Client.Version}} {{.Server.Version}}"
    )
    if status != 0:
        last = output.splitlines()[-1][:200] if output else "no answer"
        return f"reaches no engine ({last})"
    major = output.split(".")[0]
    if major.isdigit() and int(major) >= _BUILDX_SPLIT_OFF:
        status, _ = await _run(path, "buildx", "version")
        if status != 0:
            return f"{output.split()[0]} lacks its buildx plugin, so it cannot build"
    return None


async def _run(path: str, *arguments: str) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=inherited_environment(ENVIRONMENT),
        )
    except OSError as error:
        return 1, str(error)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        return 1, f"no answer within {_ANSWER_SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace").strip()
