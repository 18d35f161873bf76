"""Deploying by hand, as fast as it can be: what every push to live is measured against.

``git push`` to a bare repository behind ``git http-backend``; the build with git, tar, gzip and docker
alone; the variables and the job document straight to the engine. The document is the one that the platform
registers (``jobs.render``), so that checks, canaries and the router's tuning are the same; the engine and
the router are the very same ones.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.ports.scheduler import JobRef, Scheduler
from jobs import Artifact, Capabilities, JobInput, Scale, render
from jobs.render import SECRETS_MARK, secrets_path_of
from tests.e2e.story import Checkout

ORGANIZATION, PROJECT, ENVIRONMENT = "floor", "storefront", "production"

Build = Callable[[Path, str], Artifact]
"""From a bare repository's ``main`` to what runs; the text names the version."""


@dataclass
class Floor:
    """One app that is deployed by hand."""

    app: str
    checkout: Checkout
    repository: Path
    build: Build
    scheduler: Scheduler
    capabilities: Capabilities
    runner: asyncio.Runner
    instance_id: str
    """One of the platform's own, or it would remove the job as nobody's."""
    number: int = 0
    index: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    """Unix times at which each phase of the last deployment ended."""

    @property
    def hostname(self) -> str:
        return f"{ORGANIZATION}.{PROJECT}-{self.app}-{ENVIRONMENT}.apps.localhost"

    @property
    def ref(self) -> JobRef:
        return JobRef(ORGANIZATION, f"{PROJECT}-{self.app}-{ENVIRONMENT}")

    def deploy(self) -> None:
        self.number += 1
        pushed = self.checkout.push("main")
        assert pushed.code == 0, pushed.output
        self.phases = {"push": time.time()}
        artifact = self.build(self.repository, str(self.number))
        self.phases["build"] = time.time()
        self.index = self.runner.run(self._register(artifact))
        self.phases["register"] = time.time()

    def remove(self) -> None:
        self.runner.run(self.scheduler.stop(self.ref, purge=True))

    async def _register(self, artifact: Artifact) -> int:
        path = secrets_path_of(self.ref.id, self.number)
        await self.scheduler.put_secrets(self.ref, path, {SECRETS_MARK: "1"})
        document = render(self._job(artifact), self.capabilities)
        return await self.scheduler.submit(document, expected_index=self.index)

    def _job(self, artifact: Artifact) -> JobInput:
        return JobInput(
            platform="plt_test",
            organization=ORGANIZATION,
            project=PROJECT,
            app=self.app,
            environment=ENVIRONMENT,
            instance_id=self.instance_id,
            release_id=f"floor_{self.app}_{self.number}",
            release_number=self.number,
            commit_sha="0" * 40,
            hostnames=(self.hostname,),
            container_port=8080,
            artifact=artifact,
            scale=Scale(1, 200, 256),
        )


@dataclass(frozen=True)
class SlugByHand:
    """The commit's files behind dependencies that are packed already: ``git archive | gzip``, and a hash."""

    store: Path
    """The platform's folder of slugs: the embedded engine reads it, as it does for the platform."""
    url: Callable[[str], str]
    dependencies: bytes
    command: str

    def __call__(self, repository: Path, version: str) -> Artifact:
        archive = ["git", "-C", str(repository), "archive", "main^{tree}"]
        packed = subprocess.run(["gzip", "-1"], input=_output(archive), stdout=subprocess.PIPE)
        slug = self.dependencies + packed.stdout
        digest = hashlib.sha256(slug).hexdigest()
        name = f"{digest[:2]}/{digest}.tar.gz"
        (self.store / digest[:2]).mkdir(exist_ok=True)
        (self.store / name).write_bytes(slug)
        return Artifact("slug", self.url(name), sha256=digest, command=self.command)


def packed_dependencies(slug: Path) -> bytes:
    """What ``.paas/`` holds of a slug that the platform built, without the end of an archive."""
    unpacked = io.BytesIO()
    with tarfile.open(slug, ignore_zeros=True) as source:
        target = tarfile.TarFile(fileobj=unpacked, mode="w", format=tarfile.PAX_FORMAT)
        for member in source:
            if member.name.split("/")[0] == ".paas":
                content = source.extractfile(member) if member.isreg() else None
                target.addfile(member, content)
        return gzip.compress(unpacked.getvalue()[: target.offset], 6)


@dataclass(frozen=True)
class ImageByHand:
    """``docker build`` and ``docker push``, with every earlier step in BuildKit's cache."""

    docker: str
    registry: str

    def __call__(self, repository: Path, version: str) -> Artifact:
        image = f"{self.registry}/{ORGANIZATION}/{repository.stem}"
        with tempfile.TemporaryDirectory(prefix="bench-") as tree:
            archive = _output(["git", "-C", str(repository), "archive", "main^{tree}"])
            subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
            build = [self.docker, "build", "--quiet", f"--tag={image}:{version}", tree]
            subprocess.run(build, check=True, stdout=subprocess.DEVNULL, env=_BUILDKIT)
        pushed = _output([self.docker, "push", f"{image}:{version}"]).decode()
        digest = re.search(r"digest: (sha256:[0-9a-f]{64})", pushed)
        assert digest is not None, pushed
        return Artifact("image", f"{image}@{digest[1]}")


_BUILDKIT = {"DOCKER_BUILDKIT": "1", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
