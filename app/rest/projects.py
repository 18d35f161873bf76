"""Projects of an organization."""

from __future__ import annotations

from datetime import datetime

from app.access import find
from app.models import Project
from app.projects import queries, service
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write


class ProjectAnswer(Answer, frozen=True):
    id: str
    slug: str
    display_name: str
    created_at: datetime
    deleted_at: datetime | None
    """Set on a deleted project, until it is restored or purged."""

    @classmethod
    def of(cls, row: Project) -> ProjectAnswer:
        return cls(
            id=row.id,
            slug=row.slug,
            display_name=row.display_name,
            created_at=row.created_at,
            deleted_at=row.deleted_at,
        )


class ProjectList(Answer, frozen=True):
    projects: list[ProjectAnswer]


class ProjectFilter(Given, frozen=True):
    include_deleted: bool = False


class ProjectCreate(Given, frozen=True):
    slug: str
    display_name: str | None = None


class ProjectUpdate(Given, frozen=True):
    display_name: str | None = None


async def list_projects(call: ReadCall[ProjectFilter]) -> ProjectList:
    """An organization's projects."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    rows = await queries.list_of(
        call.session, call.actor, organization, include_deleted=call.input.include_deleted
    )
    return ProjectList(projects=[ProjectAnswer.of(row) for row in rows])


async def create_project(call: WriteCall[ProjectCreate]) -> ProjectAnswer:
    """Create a project, with the environment production for pushes to main."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    row = await service.create(
        call.session,
        call.actor,
        organization,
        slug=call.input.slug,
        display_name=call.input.display_name,
    )
    return ProjectAnswer.of(row)


async def show_project(call: ReadCall[Nothing]) -> ProjectAnswer:
    """One project, also a deleted one."""
    return ProjectAnswer.of(await find.project(call.session, call.actor, slugs=call.slugs()))


async def update_project(call: WriteCall[ProjectUpdate]) -> ProjectAnswer:
    """Change the display name; the slug stays."""
    row = await find.project(call.session, call.actor, slugs=call.slugs())
    row = await service.update(call.session, call.actor, row, display_name=call.input.display_name)
    return ProjectAnswer.of(row)


async def delete_project(call: WriteCall[Nothing]) -> ProjectAnswer:
    """Stop its apps and take no more pushes, until it is restored."""
    row = await find.project(call.session, call.actor, slugs=call.slugs())
    return ProjectAnswer.of(await service.delete(call.session, call.actor, row))


async def restore_project(call: WriteCall[Nothing]) -> ProjectAnswer:
    """Bring a deleted project back as it was."""
    row = await find.project(call.session, call.actor, slugs=call.slugs())
    return ProjectAnswer.of(await service.restore(call.session, call.actor, row))


_ALL = "/api/orgs/{org}/projects/"
_ONE = "/api/orgs/{org}/projects/{project}"

ENDPOINTS = (
    read(_ALL, list_projects, ProjectList, ProjectFilter),
    write("POST", _ALL, create_project, ProjectAnswer, ProjectCreate, status=201),
    read(_ONE, show_project, ProjectAnswer),
    write("PATCH", _ONE, update_project, ProjectAnswer, ProjectUpdate),
    write("DELETE", _ONE, delete_project, ProjectAnswer),
    write("POST", _ONE + "/restore", restore_project, ProjectAnswer),
)
