"""A build reconciler on real rows, with a repository and a builder that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from app.adapters.memory.builder import MemoryBuilder
from app.adapters.memory.slugs import MemorySlugStore
from app.builds import service
from app.builds.prune import PruneReconciler
from app.builds.reconcile import BuildReconciler
from app.crypto import SecretBox
from app.db import Database
from app.errors import PaasError
from app.models import Build, Deployment
from app.ports.repositories import Repositories
from app.settings import Settings
from tests.builds.waiting import leased, make_deployment
from tests.factories import COMMIT, Placed


class Exporting:
    """The one method of Repositories that a build uses."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {"Procfile": "web: x"}
        self.problem: PaasError | None = None

    async def export(
        self, key: str, sha: str, into: Path, *, max_bytes: int, max_files: int
    ) -> None:
        if self.problem is not None:
            raise self.problem
        for name, content in self.files.items():
            (into / name).write_text(content)


@dataclass
class Yard:
    database: Database
    box: SecretBox
    settings: Settings

    def __post_init__(self) -> None:
        self.repositories = Exporting()
        self.slugs = MemorySlugStore()
        self.builder = MemoryBuilder(self.slugs)

    @property
    def reconciler(self) -> BuildReconciler:
        return BuildReconciler(
            self.database,
            self.box,
            cast(Repositories, self.repositories),
            self.builder,
            self.slugs,
            self.settings,
        )

    @property
    def pruner(self) -> PruneReconciler:
        return PruneReconciler(self.database, self.builder, self.slugs, self.settings)

    async def queue(
        self, placed: Placed, *, commit: str = COMMIT, env: Mapping[str, str] | None = None
    ) -> tuple[Build, Deployment]:
        """A build, and a deployment that waits for it."""
        async with self.database.write_transaction() as session:
            build = await service.ensure(
                session, app=placed.app, commit_sha=commit, build_env=env or {}, box=self.box
            )
            return build, await make_deployment(
                self.database, placed.instance, build, session=session
            )

    async def reconcile(self, build_id: str) -> Build:
        async with leased(self.database, build_id) as lease:
            await self.reconciler.reconcile(build_id, lease)
        return await self.row(build_id)

    async def row(self, build_id: str) -> Build:
        async with self.database.read_session() as session:
            return await session.get_one(Build, build_id)

    async def prune(self, times: int = 1) -> None:
        pruner = self.pruner
        for _ in range(times):
            async with leased(self.database, "artifacts", "prune") as lease:
                await pruner.reconcile("artifacts", lease)


async def until(condition: asyncio.Event) -> None:
    await asyncio.wait_for(condition.wait(), 30)
