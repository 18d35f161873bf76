"""The demo: an organization, a project and an app, made over REST, and a real ``git push`` of a sample.

It uses only what any client may: so when the demo answers, the whole way works.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ExternalFailure
from app.settings import Settings
from app.up import probe
from app.up.supervisor import Say

ORGANIZATION, PROJECT, APP, ENVIRONMENT = "demo", "hello", "web", "production"
_APP_PATH = f"/api/orgs/{ORGANIZATION}/projects/{PROJECT}/apps/{APP}"
_SAMPLE = "python-procfile"
_ANSWER_SECONDS = 30
_START_AGAIN_SECONDS = 30
_POLL_SECONDS = 0.1


def sample() -> Path:
    """The bundled app: of the source tree, or its copy in an installed package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "samples", here.parent / "samples"):
        if (folder / _SAMPLE).is_dir():
            return folder / _SAMPLE
    raise ExternalFailure("This installation lacks its samples.", hint="Install paas again.")


@dataclass(frozen=True)
class Demo:
    settings: Settings
    token: str
    say: Say

    @property
    def hostname(self) -> str:
        base = self.settings.wildcard_base
        return f"{ORGANIZATION}.{PROJECT}-{APP}-{ENVIRONMENT}.{base}"

    @property
    def url(self) -> str:
        return f"http://{self.hostname}:{self.settings.ingress_port}/"

    @property
    def remote(self) -> str:
        api = self.settings
        return f"http://{api.api_host}:{api.api_port}/git/{ORGANIZATION}/{PROJECT}/{APP}.git"

    async def bring_up(self) -> None:
        """Until the URL answers. Raises ExternalFailure with what the platform said."""
        await self._ensure("/api/orgs/", ORGANIZATION, "Demo")
        await self._ensure(f"/api/orgs/{ORGANIZATION}/projects/", PROJECT, "Hello")
        await self._ensure(f"/api/orgs/{ORGANIZATION}/projects/{PROJECT}/apps/", APP, "Web")
        if await self._was_deployed() and await self._answers_within(_START_AGAIN_SECONDS):
            self.say("The demo app runs already")
            return
        self.say(f"Pushing samples/{_SAMPLE} with git, as you would:")
        await self._push()
        if not await self._answers_within(_ANSWER_SECONDS):
            raise ExternalFailure(
                f"The demo was deployed, but {self.url} does not answer.",
                hint=f"See {self.settings.home_path / 'logs'}.",
            )

    async def _ensure(self, collection: str, slug: str, display_name: str) -> None:
        item = await self._request("GET", f"{collection}{slug}")
        if item.status == 404:
            item = await self._request(
                "POST", collection, {"slug": slug, "displayName": display_name}
            )
        if item.status not in (200, 201):
            raise ExternalFailure(
                f"The demo's {slug} could not be made: {_reason(item)}",
                hint="`paas up` without --demo starts the platform alone.",
            )

    async def _was_deployed(self) -> bool:
        """Whether a deployment succeeded before, in an earlier run maybe."""
        answer = await self._request("GET", f"{_APP_PATH}/envs/{ENVIRONMENT}/deployments/")
        if answer.status != 200:
            return False
        deployments = answer.json()["deployments"]
        return any(deployment["status"] == "succeeded" for deployment in deployments)

    async def _answers_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            port = self.settings.ingress_port
            if await probe.is_ok("127.0.0.1", port, "/", virtual_host=self.hostname):
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _request(self, method: str, path: str, body: Any = None) -> probe.Answer:
        headers = {"Authorization": f"Bearer {self.token}"}
        api = self.settings
        return await probe.request(
            method, api.api_host, api.api_port, path, headers=headers, body=body
        )

    async def _push(self) -> None:
        with tempfile.TemporaryDirectory(prefix="paas-demo-") as folder:
            source = Path(folder) / "source"
            shutil.copytree(sample(), source)
            environment = self._git_environment()
            for arguments in (
                ("init", "--quiet", "--initial-branch=main"),
                ("add", "--all"),
                ("commit", "--quiet", "--message", "The sample as it comes"),
            ):
                await _git(source, environment, *arguments)
            await _git(source, environment, "push", "--force", self.remote, "main", show=self._show)

    def _show(self, line: str) -> None:
        self.say(f"  {line}")

    def _git_environment(self) -> Mapping[str, str]:
        """Without the user's git configuration, and with the token where no process list shows it."""
        credential = base64.b64encode(f"demo:{self.token}".encode()).decode()
        person = {"NAME": "paas demo", "EMAIL": "demo@localhost"}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            **{f"GIT_{role}_{key}": v for role in ("AUTHOR", "COMMITTER") for key, v in person.items()},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.remote}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credential}",
            "NO_PROXY": "*",
            "no_proxy": "*",
        }  # fmt: skip


async def _git(
    folder: Path, environment: Mapping[str, str], *arguments: str, show: Say | None = None
) -> None:
    """Run git, showing its lines as they come. Raises ExternalFailure with the last of them."""
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            if show is not None and line:
                show(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if code != 0:
        said = "" if show is not None else ": " + " ".join(lines[-3:])
        raise ExternalFailure(f"`git {arguments[0]}` ended with exit code {code}{said}.")


def _reason(answer: probe.Answer) -> str:
    if answer.status == 0:
        return "the API did not answer"
    return f"HTTP {answer.status}: {answer.body[:300].decode(errors='replace')}"
