"""Environments of a project."""

from __future__ import annotations

from datetime import datetime

from app.access import find
from app.environments import queries, service
from app.models import Environment
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write


class EnvironmentAnswer(Answer, frozen=True):
    id: str
    slug: str
    display_name: str
    branch_pattern: str
    is_default: bool
    created_at: datetime
    deleted_at: datetime | None
    """Set while its apps are being stopped; then it is gone."""

    @classmethod
    def of(cls, row: Environment) -> EnvironmentAnswer:
        return cls(
            id=row.id,
            slug=row.slug,
            display_name=row.display_name,
            branch_pattern=row.branch_pattern,
            is_default=row.is_default,
            created_at=row.created_at,
            deleted_at=row.deleted_at,
        )


class EnvironmentList(Answer, frozen=True):
    environments: list[EnvironmentAnswer]


class EnvironmentCreate(Given, frozen=True):
    slug: str
    branch_pattern: str
    display_name: str | None = None
    make_default: bool = False


class EnvironmentUpdate(Given, frozen=True):
    display_name: str | None = None
    branch_pattern: str | None = None
    make_default: bool | None = None


async def list_environments(call: ReadCall[Nothing]) -> EnvironmentList:
    """A project's environments, the default first."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    rows = await queries.list_of(call.session, call.actor, project)
    return EnvironmentList(environments=[EnvironmentAnswer.of(row) for row in rows])


async def create_environment(call: WriteCall[EnvironmentCreate]) -> EnvironmentAnswer:
    """Create an environment; every app of the project gets an instance in it."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    row = await service.create(
        call.session,
        call.actor,
        project,
        slug=call.input.slug,
        branch_pattern=call.input.branch_pattern,
        display_name=call.input.display_name,
        make_default=call.input.make_default,
        wildcard_base=call.container.settings.wildcard_base,
    )
    return EnvironmentAnswer.of(row)


async def show_environment(call: ReadCall[Nothing]) -> EnvironmentAnswer:
    """One environment."""
    row = await find.environment(call.session, call.actor, slugs=call.slugs("env"))
    return EnvironmentAnswer.of(row)


async def update_environment(call: WriteCall[EnvironmentUpdate]) -> EnvironmentAnswer:
    """Change its name or branches, or make it the default; the slug stays."""
    row = await find.environment(call.session, call.actor, slugs=call.slugs("env"))
    row = await service.update(
        call.session,
        call.actor,
        row,
        display_name=call.input.display_name,
        branch_pattern=call.input.branch_pattern,
        make_default=call.input.make_default,
    )
    return EnvironmentAnswer.of(row)


async def delete_environment(call: WriteCall[Nothing]) -> EnvironmentAnswer:
    """Delete it with its variables, containers and routes; the default is refused."""
    row = await find.environment(call.session, call.actor, slugs=call.slugs("env"))
    return EnvironmentAnswer.of(await service.delete(call.session, call.actor, row))


_ALL = "/api/orgs/{org}/projects/{project}/envs/"
_ONE = "/api/orgs/{org}/projects/{project}/envs/{env}"

ENDPOINTS = (
    read(_ALL, list_environments, EnvironmentList),
    write("POST", _ALL, create_environment, EnvironmentAnswer, EnvironmentCreate, status=201),
    read(_ONE, show_environment, EnvironmentAnswer),
    write("PATCH", _ONE, update_environment, EnvironmentAnswer, EnvironmentUpdate),
    write("DELETE", _ONE, delete_environment, EnvironmentAnswer, status=202),
)
