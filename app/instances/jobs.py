"""The engine's job of an instance, by the slugs that spell its name."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import App, Environment, Instance, Organization, Project
from app.ports.scheduler import JobRef
from jobs.render import job_id_of, namespace_of


def job_ref(organization: str, project: str, app: str, environment: str) -> JobRef:
    """Of the app's instance in that environment; each is a slug."""
    return JobRef(namespace_of(organization), job_id_of(project, app, environment))


async def instances_by_job(
    session: AsyncSession, *conditions: ColumnElement[bool]
) -> Mapping[JobRef, str]:
    """The ids of the instances that meet the conditions. One row for each: columns, and no objects."""
    statement = (
        select(Instance.id, Organization.slug, Project.slug, App.slug, Environment.slug)
        .join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
        .where(*conditions)
    )
    return {
        job_ref(*slugs): instance_id for instance_id, *slugs in await session.execute(statement)
    }
