"""Finishing pushes whose server died or whose deployments have ended; keeping repositories packed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta

from app.db import Database
from app.environments.previews import PreviewMaker
from app.errors import NotFound
from app.ports.repositories import Repositories
from app.pushes import queries, service
from app.reconcile.lease import HeldLease

PRESUMED_DEAD_AFTER = timedelta(seconds=30)
"""A live server settles a push within milliseconds of recording it. If it was only slow, it finds that
the push is settled, and says to its client what became of it."""


class PushReconciler:
    """Kind ``"push"``, key: the push's id."""

    kind = "push"
    period = 5.0
    concurrency = 4

    def __init__(
        self,
        database: Database,
        repositories: Repositories,
        previews: PreviewMaker,
        *,
        presumed_dead_after: timedelta = PRESUMED_DEAD_AFTER,
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._previews = previews
        self._presumed_dead_after = presumed_dead_after

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await queries.abandoned(session, older_than=self._presumed_dead_after)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await service.recover(session, self._repositories, key, maker=self._previews)


class RepositoryReconciler:
    """Kind ``"repository"``, key: the repository's key. Packs what many pushes left, when it is worth it."""

    kind = "repository"
    period = 600.0
    concurrency = 1

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    async def pending(self) -> Sequence[str]:
        return await self._repositories.untidy()

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        lease.check()
        with contextlib.suppress(NotFound):
            await self._repositories.maintain(key)
