"""Previews that nobody uses any more."""

from __future__ import annotations

from collections.abc import Sequence

from app.db import Database
from app.environments import previews, queries
from app.ports.repositories import Repositories
from app.reconcile.lease import HeldLease


class PreviewReconciler:
    """Kind ``"preview"``, key: the environment's id. Woken when an app of the project is deleted."""

    kind = "preview"
    period = 30.0
    concurrency = 1

    def __init__(self, database: Database, repositories: Repositories) -> None:
        self._database = database
        self._repositories = repositories

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await queries.expired_previews(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await previews.end(session, self._repositories, key)
