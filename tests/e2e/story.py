"""The whole story with a running platform, a real git client and curl's own requests."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines.docker import BASE_IMAGE
from tests.up.platform import Home

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
BRANCHES = {"production": "main", "staging": "staging", "preview": "feature/x"}
PROJECT = "/api/orgs/acme/projects/storefront"


@dataclass(frozen=True)
class Pushed:
    code: int
    output: str


@dataclass
class Checkout:
    """A clone of one app's repository, with a sample's files."""

    folder: Path
    remote: str
    environment: Mapping[str, str]

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        committed = self.git("commit", "--quiet", "--allow-empty", "--message", message)
        assert committed.returncode == 0, committed.stdout
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, branch: str, *options: str) -> Pushed:
        done = self.git("push", *options, self.remote, f"HEAD:refs/heads/{branch}")
        return Pushed(done.returncode, done.stdout)


@dataclass
class Story:
    home: Home
    folder: Path

    @property
    def token(self) -> str:
        return (self.home.folder / "admin.token").read_text().strip()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.home.port("API"), timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, body=payload, headers=headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None
        finally:
            connection.close()

    def make(self, path: str, **values: Any) -> Any:
        status, answer = self.call("POST", path, values)
        assert status == 201, answer
        return answer

    def make_project(self) -> None:
        """acme/storefront with production ← main, staging ← staging, preview ← anything else."""
        self.make("/api/orgs/", slug="acme", displayName="Acme")
        self.make("/api/orgs/acme/projects/", slug="storefront", displayName="Storefront")
        self.make(f"{PROJECT}/envs/", slug="staging", branchPattern="staging")
        self.make(f"{PROJECT}/envs/", slug="preview", branchPattern="*")

    def make_app(self, slug: str, sample: str) -> Checkout:
        self.make(f"{PROJECT}/apps/", slug=slug)
        folder = self.folder / slug
        shutil.copytree(SAMPLES / sample, folder)
        checkout = Checkout(folder, self._remote(slug), self._git_environment(slug))
        checkout.git("init", "--quiet", "--initial-branch=main")
        _build_on_what_is_here(folder)
        checkout.commit(f"The sample {sample}")
        return checkout

    def app_path(self, app: str, environment: str) -> str:
        return f"{PROJECT}/apps/{app}/envs/{environment}"

    def page(self, app: str, environment: str, path: str = "/") -> tuple[int, str]:
        host = f"acme.storefront-{app}-{environment}.apps.localhost"
        return self.home.get("INGRESS", path, host)

    def deployment(self, app: str, environment: str) -> Any:
        """The newest."""
        status, answer = self.call("GET", f"{self.app_path(app, environment)}/deployments/?limit=1")
        assert status == 200, answer
        return answer["deployments"][0]

    def _remote(self, app: str) -> str:
        return f"http://127.0.0.1:{self.home.port('API')}/git/acme/storefront/{app}.git"

    def _git_environment(self, app: str) -> dict[str, str]:
        credential = base64.b64encode(f"x:{self.token}".encode()).decode()
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self._remote(app)}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credential}",
        }


def _build_on_what_is_here(folder: Path) -> None:
    """No public image can be had on a build machine: name the one that the tests made."""
    dockerfile = folder / "Dockerfile"
    if dockerfile.exists():
        lines = dockerfile.read_text().splitlines()
        named = [
            f"ARG BASE={BASE_IMAGE}" if line.startswith("ARG BASE=") else line for line in lines
        ]
        assert named != lines
        dockerfile.write_text("\n".join(named) + "\n")
