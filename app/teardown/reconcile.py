"""Deleted environments and apps, and purged projects: their rows go when nothing of them runs any more.

Their instances are removed one by one by the instance reconciler, which wakes this one; then the
repositories, then the row with all that hangs on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import faults
from app.db import Database
from app.ids import prefix_of
from app.models import App, Environment, Instance, Organization, Project
from app.ports.repositories import Repositories
from app.ports.scheduler import Scheduler
from app.projects import queries
from app.reconcile.lease import HeldLease
from jobs.render import namespace_of

STEPS = (
    "teardown.repository_deleted",
    "teardown.namespace_deleted",
    "teardown.row_deleted",
)


class TeardownReconciler:
    """Keys are ids of environments, apps and projects."""

    kind = "teardown"
    period = 10.0
    concurrency = 4

    def __init__(
        self, database: Database, repositories: Repositories, scheduler: Scheduler
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._scheduler = scheduler

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return [
                *await queries.environments_to_tear_down(session),
                *await queries.apps_to_tear_down(session),
                *await queries.projects_to_purge(session),
            ]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        match prefix_of(key):
            case "env":
                await self._remove_environment(key, lease)
            case "app":
                await self._remove_app(key, lease)
            case "prj":
                await self._purge_project(key, lease)

    async def _remove_environment(self, environment_id: str, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            row = await session.get(Environment, environment_id)
            if row is None or row.deleted_at is None:
                return
            if await _has_instances(session, environment_id=environment_id):
                return
        await self._delete_row(Environment, environment_id, lease)

    async def _remove_app(self, app_id: str, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            row = await session.get(App, app_id)
            if row is None or row.deleted_at is None:
                return
            if await _has_instances(session, app_id=app_id):
                return
        await self._delete_repository(row, lease)
        await self._delete_row(App, app_id, lease)

    async def _purge_project(self, project_id: str, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            row = await session.get(Project, project_id)
            if row is None or row.purge_requested_at is None:
                return
            if await _has_instances(session, project_id=project_id):
                return
            apps = (await session.scalars(select(App).where(App.project_id == project_id))).all()
        for app in apps:
            await self._delete_repository(app, lease)
        await self._delete_namespace_if_last(row, lease)
        await self._delete_row(Project, project_id, lease)

    async def _delete_repository(self, app: App, lease: HeldLease) -> None:
        lease.check()
        await self._repositories.delete(app.repository_key)
        faults.checkpoint("teardown.repository_deleted")

    async def _delete_namespace_if_last(self, project: Project, lease: HeldLease) -> None:
        """An organization's namespace goes with its last project, and comes back with the next job."""
        async with self._database.read_session() as session:
            others = await session.scalar(
                select(
                    exists().where(
                        Project.organization_id == project.organization_id,
                        Project.id != project.id,
                    )
                )
            )
            organization = await session.get(Organization, project.organization_id)
        if others or organization is None:
            return
        lease.check()
        await self._scheduler.delete_namespace(namespace_of(organization.slug))
        faults.checkpoint("teardown.namespace_deleted")

    async def _delete_row(
        self, model: type[Environment | App | Project], identifier: str, lease: HeldLease
    ) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            row = await session.get(model, identifier)
            if row is not None:
                await session.delete(row)
        faults.checkpoint("teardown.row_deleted")


async def _has_instances(
    session: AsyncSession,
    *,
    environment_id: str | None = None,
    app_id: str | None = None,
    project_id: str | None = None,
) -> bool:
    statement = select(Instance.id).join(App, Instance.app_id == App.id).limit(1)
    if environment_id is not None:
        statement = statement.where(Instance.environment_id == environment_id)
    if app_id is not None:
        statement = statement.where(Instance.app_id == app_id)
    if project_id is not None:
        statement = statement.where(App.project_id == project_id)
    return await session.scalar(statement) is not None
