"""A git server on a real socket, a real git client, and a database to look at."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.routing import Mount

from app.access.actor import Actor
from app.adapters.git import LocalRepositories
from app.crypto import SecretBox
from app.db import Database
from app.environments.previews import PreviewMaker
from app.http.git import GitApp
from app.models import (
    Deployment,
    DeploymentStatus,
    Instance,
    Project,
    Push,
    Role,
    User,
)
from app.ports.repositories import Repositories
from app.reconcile.wake import WakeListener
from app.settings import Settings
from app.tokens import service as tokens
from tests.conftest import free_port
from tests.factories import Placed, make_instance, make_user

CLEAN_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "LC_ALL": "C",
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
}


@dataclass(frozen=True)
class Ran:
    """What a git command said; lines of the server come without git's padding."""

    status: int
    out: str
    err: str

    @property
    def remote(self) -> list[str]:
        lines = self.err.replace("\r", "\n").splitlines()
        return [
            line.removeprefix("remote: ").rstrip() for line in lines if line.startswith("remote:")
        ]


@dataclass
class Wiring:
    settings: Settings
    database: Database
    repositories: Repositories
    wakes: WakeListener
    secret_box: SecretBox = field(default_factory=lambda: SecretBox([b"k" * 32]))

    @property
    def previews(self) -> PreviewMaker:
        return PreviewMaker(self.secret_box, self.settings.wildcard_base)


async def run_git(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Ran:
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=cwd,
        env={**CLEAN_ENVIRONMENT, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    return Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


class Clone:
    """A working copy on the pushing side."""

    def __init__(self, folder: Path, remote: str) -> None:
        self.folder = folder
        self.remote = remote

    async def git(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        return await run_git(*arguments, cwd=self.folder, env=env)

    async def ok(self, *arguments: str) -> str:
        ran = await self.git(*arguments)
        assert ran.status == 0, ran
        return ran.out.strip()

    async def commit(self, message: str = "change", **files: str | bytes) -> str:
        """Files by path, ``__`` for a dot."""
        for name, content in files.items():
            path = self.folder / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        await self.ok("add", "-A")
        await self.ok("commit", "--allow-empty", "-q", "-m", message)
        return await self.ok("rev-parse", "HEAD")

    async def push(self, *arguments: str) -> Ran:
        return await self.git("push", self.remote, *arguments)


class GitWorld:
    """A tenant's storefront/web with production (main); ``actor`` may push."""

    def __init__(
        self,
        wiring: Wiring,
        placed: Placed,
        actor: Actor,
        secret: str,
        port: int,
        scratch: Path,
    ) -> None:
        self.wiring = wiring
        self.database = wiring.database
        self.repositories = wiring.repositories
        self.placed = placed
        self.actor = actor
        self.secret = secret
        self.port = port
        self.scratch = scratch
        self._count = 0

    @property
    def organization(self) -> str:
        return self.placed.organization.slug

    @property
    def path(self) -> str:
        return f"{self.organization}/storefront/web"

    @property
    def key(self) -> str:
        return self.placed.app.repository_key

    @property
    def repository(self) -> Path:
        return Path(self.wiring.settings.home) / "repositories" / f"{self.key}.git"

    def url(self, path: str = "", *, secret: str | None = None) -> str:
        path = path or self.path
        secret = self.secret if secret is None else secret
        credentials = f"any:{secret}@" if secret else ""
        return f"http://{credentials}127.0.0.1:{self.port}/git/{path}.git"

    async def clone(self, *, url: str | None = None) -> Clone:
        """An empty repository of one's own, its branch ``main``."""
        folder = self.folder()
        await run_git("init", "-q", "-b", "main", str(folder), cwd=self.scratch)
        return Clone(folder, url or self.url())

    def folder(self) -> Path:
        self._count += 1
        folder = self.scratch / f"clone{self._count}"
        folder.mkdir()
        return folder

    async def environment(self, slug: str, pattern: str) -> Placed:
        return await make_instance(
            self.database,
            organization=self.organization,
            environment=slug,
            branch_pattern=pattern,
        )

    async def token(self, actor: Actor) -> str:
        async with self.database.write_transaction() as session:
            user = await session.get(User, actor.user_id)
            assert user is not None
            _, secret = await tokens.create(session, user, "test")
        return secret

    async def member(self, name: str, role: Role) -> str:
        return await self.token(
            await make_user(
                self.database,
                self.placed.organization,
                name=f"{name} of {self.organization}",
                role=role,
            )
        )

    async def pushes(self) -> list[Push]:
        async with self.database.read_session() as session:
            statement = select(Push).where(Push.app_id == self.placed.app.id).order_by(Push.id)
            return list(await session.scalars(statement))

    async def deployments(self) -> list[Deployment]:
        async with self.database.read_session() as session:
            statement = (
                select(Deployment)
                .join(Instance, Deployment.instance_id == Instance.id)
                .where(Instance.app_id == self.placed.app.id)
                .order_by(Deployment.id)
            )
            return list(await session.scalars(statement))

    async def deployed_to(self) -> list[str]:
        """Environments, by the hostnames of the deployments' instances."""
        async with self.database.read_session() as session:
            statement = (
                select(Instance.hostname)
                .join(Deployment, Deployment.instance_id == Instance.id)
                .where(Instance.app_id == self.placed.app.id)
                .order_by(Instance.hostname)
            )
            hostnames = list(await session.scalars(statement))
        return [name.split(".")[1].rsplit("-", 1)[1] for name in hostnames]

    async def queued(self, count: int = 1) -> list[Deployment]:
        """Wait until so many deployments are there."""
        async with asyncio.timeout(30):
            while True:
                found = await self.deployments()
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)

    async def set_deployment(self, deployment: Deployment, **values: object) -> None:
        async with self.database.write_transaction() as session:
            statement = update(Deployment).where(Deployment.id == deployment.id).values(**values)
            await session.execute(statement)
            await session.wake("deployment", deployment.id)

    async def delete_project(self) -> None:
        async with self.database.write_transaction() as session:
            statement = update(Project).where(Project.id == self.placed.project.id)
            await session.execute(statement.values(deleted_at=datetime.now(UTC)))

    @asynccontextmanager
    async def worker(
        self, status: DeploymentStatus = DeploymentStatus.SUCCEEDED, **values: object
    ) -> AsyncIterator[None]:
        """Ends every deployment so, as soon as it is queued."""
        task = asyncio.create_task(self._work(status, values))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self, status: DeploymentStatus, values: dict[str, object]) -> None:
        while True:
            for deployment in await self.deployments():
                if deployment.status is DeploymentStatus.QUEUED:
                    await self.set_deployment(deployment, status=status, **values)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(wiring: Wiring) -> AsyncIterator[int]:
    """The git server alone, in this process."""
    port = free_port()
    config = uvicorn.Config(
        Starlette(routes=[Mount("/git", app=GitApp(wiring))]),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await task
        await wiring.wakes.close()


@dataclass(frozen=True)
class Server:
    wiring: Wiring
    port: int


@asynccontextmanager
async def git_server(database: Database, home: Path, **settings: object) -> AsyncIterator[Server]:
    configured = Settings(home=str(home), **settings)  # type: ignore[arg-type]
    limit = configured.push_max_mb * 1024**2
    repositories = LocalRepositories(home / "repositories", push_max_bytes=limit)
    wiring = Wiring(configured, database, repositories, WakeListener(database.url))
    async with serving(wiring) as port:
        yield Server(wiring, port)


_tenants = iter(range(1_000_000))


async def make_world(server: Server, scratch: Path) -> GitWorld:
    """A tenant that no other test knows of, on a server that they share."""
    database = server.wiring.database
    name = f"acme{next(_tenants)}"
    placed = await make_instance(database, organization=name)
    actor = await make_user(database, placed.organization, name=f"ada of {name}")
    world = GitWorld(server.wiring, placed, actor, "", server.port, scratch)
    world.secret = await world.token(actor)
    return world
