"""Dockerfiles into images, by BuildKit, known by digest.

With a registry (``PAAS_REGISTRY``) the image is pushed, and its reference is good on every node. Without
one it is the id of an image of this machine's engine, which only the embedded engine can run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.adapters.builder.area import Area
from app.adapters.builder.run import Command, Limits, run
from app.adapters.builder.workspace import safe_file
from app.adapters.docker.client import ENVIRONMENT, DockerClient, find_client
from app.adapters.docker.progress import Progress
from app.errors import ExternalFailure
from app.models.build import BuildKind
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed, BuildInput, BuildOutput, WriteLine
from app.settings import Settings, inherited_environment

log = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024
_CACHE_TAG = "cache"
_CACHE_SECONDS = 600.0
"""For which a repository's cache may be behind: an older image's layers are as good for most builds."""
_PLATFORM_LABEL = "paas.platform"
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_HTTP_SECONDS = 15
_OTHERS = "A Procfile app or a static site (index.html) needs no Docker."


@dataclass
class ImageBuilder:
    settings: Settings
    engine: Literal["embedded", "nomad"]
    _known: DockerClient | None = None
    """One that built before: it is not asked each time whether it can, but when a build fails."""
    _cached: dict[str, float] = field(default_factory=dict)
    """Repository → when its cache was pushed last, by the monotonic clock."""

    async def build(self, build: BuildInput, area: Area, write: WriteLine) -> BuildOutput:
        """Raises BuildFailed."""
        client, self._known = self._known or await self._client(), None
        try:
            output = await self._built(client, build, area, write)
        except (BuildFailed, ExternalFailure):
            await self._client()
            raise
        self._known = client
        return output

    async def _built(
        self, client: DockerClient, build: BuildInput, area: Area, write: WriteLine
    ) -> BuildOutput:
        dockerfile = _dockerfile(build.source)
        scratch = await asyncio.to_thread(area.scratch, build.build_id)
        work = _Work(client, build, scratch, self.settings, write)
        image = await work.build(dockerfile, self._repository(build))
        output = await self._checked(client, image)
        if not self.settings.registry:
            return BuildOutput(BuildKind.IMAGE, image, output)
        reference = await work.push(self._repository(build))
        await self._follow(work, self._repository(build))
        return BuildOutput(BuildKind.IMAGE, reference, output)

    async def _follow(self, work: _Work, repository: str) -> None:
        """Push the cache's tag, now and then: for workers on other machines. It only follows: a registry may
        refuse either manifest ("blob unknown") when both pushes mount or upload the same layers at once."""
        pushed = self._cached.get(repository)
        if pushed is None or time.monotonic() - pushed > _CACHE_SECONDS:
            await work.push_tag(repository, _CACHE_TAG)
            self._cached[repository] = time.monotonic()

    async def remove(self, reference: str) -> None:
        if "@" in reference:
            await _delete_from_registry(reference)
        with contextlib.suppress(ExternalFailure):
            client = await find_client()
            identity = (await client.inspect(reference))["Id"]
            await client.ask("image", "rm", "--force", identity)

    async def held(self, platform: str) -> Mapping[str, str]:
        """Build id to reference. Without an engine there are none."""
        mine = f"--filter=label={_PLATFORM_LABEL}={platform}"
        try:
            client = await find_client()
            ids = await client.ask("image", "ls", "--quiet", "--no-trunc", mine)
            found = [await client.inspect(image) for image in dict.fromkeys(ids.split())]
        except ExternalFailure:
            return {}
        return {
            label: reference
            for image in found
            if (label := ((image.get("Config") or {}).get("Labels") or {}).get("paas.build"))
            for reference in (image["Id"], *(image.get("RepoDigests") or ()))
        }

    async def prune_cache(self, max_bytes: int) -> None:
        """Of BuildKit's own steps. No engine: nothing to prune."""
        with contextlib.suppress(ExternalFailure):
            client = await find_client()
            await client.ask("builder", "prune", "--force", "--keep-storage", str(max_bytes))

    def _repository(self, build: BuildInput) -> str:
        prefix = f"{self.settings.registry}/" if self.settings.registry else "paas/"
        return f"{prefix}{build.app_name}"

    async def _client(self) -> DockerClient:
        if self.engine == "nomad" and not self.settings.registry:
            raise BuildFailed(
                FailureCode.BUILDER_UNAVAILABLE,
                "This app has a Dockerfile, and there is no image registry for Nomad's nodes to pull it from.",
                f"Ask the operator to set PAAS_REGISTRY to a registry's host:port. {_OTHERS}",
            )
        try:
            return await find_client()
        except ExternalFailure as error:
            raise BuildFailed(
                FailureCode.BUILDER_UNAVAILABLE,
                f"This app has a Dockerfile, and this machine has no Docker engine to build it: {error}.",
                f"Install and start Docker (apt-get install docker.io). {_OTHERS}",
            ) from error

    async def _checked(self, client: DockerClient, image: str) -> int:
        """The image's size. Raises BuildFailed when it is too large, or has nothing to run."""
        found = await client.inspect(image)
        size, limit = int(found["Size"]), self.settings.build_max_image_mb
        if size > limit * _MEGABYTE:
            await self.remove(image)
            raise BuildFailed(
                FailureCode.BUILD_LIMIT,
                f"The image takes {size // _MEGABYTE} MB, and the limit is {limit} MB.",
                "Use a smaller base image or a multi-stage build, or raise PAAS_BUILD_MAX_IMAGE_MB.",
            )
        config = found.get("Config") or {}
        if not config.get("Cmd") and not config.get("Entrypoint"):
            raise BuildFailed(
                FailureCode.BUILD_FAILED,
                "The image has no command to run: its Dockerfile sets neither CMD nor ENTRYPOINT.",
                'End the Dockerfile with a line such as CMD ["python3", "app.py"].',
            )
        return size


@dataclass(frozen=True)
class _Work:
    """One build's conversation with the client."""

    client: DockerClient
    build_input: BuildInput
    scratch: Path
    settings: Settings
    write: WriteLine

    async def build(self, dockerfile: str, repository: str) -> str:
        """Returns the image's id."""
        build, identity = self.build_input, self.scratch / "image-id"
        arguments = ["build", "--progress=plain", f"--iidfile={identity}", f"--file={dockerfile}"]
        arguments += [f"--tag={repository}:{build.build_id}", "--build-arg=BUILDKIT_INLINE_CACHE=1"]
        if self.settings.registry:
            arguments += [
                f"--tag={repository}:{_CACHE_TAG}",
                f"--cache-from={repository}:{_CACHE_TAG}",
            ]
        for name, value in _labels(build).items():
            arguments.append(f"--label={name}={value}")
        arguments += self._secrets()
        progress = Progress()

        async def write(line: str) -> None:
            shown = progress.feed(line)
            if shown is not None:
                await self.write(shown)

        env = {"DOCKER_BUILDKIT": "1", **_engine_address()}
        try:
            status = await self._run([*arguments, "."], env, write, cwd=build.source)
        finally:
            shutil.rmtree(self.scratch / "secrets", ignore_errors=True)
        if status != 0:
            raise progress.failure()
        return identity.read_text().strip()

    async def push(self, repository: str) -> str:
        """Returns the reference by digest. Raises BuildFailed(IMAGE_PUSH_FAILED)."""
        await self.write(f"Pushing the image to {self.settings.registry}")
        said = await self.push_tag(repository, self.build_input.build_id)
        found = _DIGEST.search(said)
        if found is None:
            raise ExternalFailure(f"docker names no digest of {repository} after its push.")
        return f"{repository}@{found[1]}"

    async def push_tag(self, repository: str, tag: str) -> str:
        """Returns what docker said."""
        lines: list[str] = []

        async def remember(line: str) -> None:
            lines.append(line)

        env = {**_engine_address(), **_operators_configuration()}
        command = ["push", f"{repository}:{tag}"]
        if await self._run(command, env, remember) != 0:
            raise BuildFailed(
                FailureCode.IMAGE_PUSH_FAILED,
                f"The image could not be pushed to {self.settings.registry}: {' '.join(lines)[-400:]}",
                "Redeploy to try again; if it stays, check that the registry answers and has room.",
            )
        return "\n".join(lines)

    def _secrets(self) -> list[str]:
        """Files that only we can read, given to the steps that mount them; never arguments or layers."""
        folder = self.scratch / "secrets"
        folder.mkdir(mode=0o700)
        options = []
        for name, value in self.build_input.build_env.items():
            path = folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(value)
            options.append(f"--secret=id={name},src={path}")
        return options

    async def _run(
        self,
        arguments: list[str],
        env: Mapping[str, str],
        write: WriteLine,
        cwd: Path | None = None,
    ) -> int:
        command = Command(
            [self.client.path, *arguments],
            self.scratch,
            self.build_input.build_id,
            cwd=cwd,
            env=env,
            limits=Limits(self.settings.build_timeout_seconds, self.settings.build_max_image_mb),
        )
        return await run(command, write)


def _dockerfile(source: Path) -> str:
    """Its path in the tree. Raises BuildFailed when it, or .dockerignore, leads out of it."""
    for name in ("Dockerfile", ".dockerignore"):
        if os.path.lexists(source / name) and safe_file(source, name) is None:
            raise BuildFailed(
                FailureCode.UNSAFE_SOURCE,
                f"{name} is a link that leads out of the app's folder.",
                f"Commit {name} itself instead of the link.",
            )
    found = safe_file(source, "Dockerfile")
    return str(found.relative_to(source.resolve())) if found else "Dockerfile"


def _labels(build: BuildInput) -> dict[str, str]:
    organization, _, rest = build.app_name.partition("/")
    return {
        "paas": "1",
        _PLATFORM_LABEL: build.platform,
        "paas.organization": organization,
        "paas.app": rest,
        "paas.build": build.build_id,
        "org.opencontainers.image.revision": build.commit_sha,
    }


def _engine_address() -> dict[str, str]:
    names = [name for name in ENVIRONMENT if name.startswith("DOCKER_") and name != "DOCKER_CONFIG"]
    return inherited_environment(names)


def _operators_configuration() -> dict[str, str]:
    """Credentials for our own registry. Builds do not get them: FROM could pull another's images."""
    ours = inherited_environment(["DOCKER_CONFIG", "HOME"])
    folder = ours.get("DOCKER_CONFIG") or (f"{ours['HOME']}/.docker" if "HOME" in ours else "")
    return {"DOCKER_CONFIG": folder} if folder and Path(folder).is_dir() else {}


async def _delete_from_registry(reference: str) -> None:
    """A registry that does not allow it, or is gone, keeps the image: that costs room, nothing else."""
    name, _, digest = reference.partition("@")
    host, _, path = name.partition("/")
    local = host.startswith(("127.", "localhost"))
    url = f"{'http' if local else 'https'}://{host}/v2/{path}/manifests/{digest}"
    import aiohttp  # 9 MB, in a worker that may never need it

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_HTTP_SECONDS)) as http,
            http.delete(url) as answer,
        ):
            if answer.status not in {202, 404}:
                log.warning("the registry keeps %s: status %d", reference, answer.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("the registry keeps %s: %s", reference, error)
