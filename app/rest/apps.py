"""Apps of a project."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.access import find
from app.apps import queries, service
from app.instances import queries as instance_queries
from app.models import App, Environment, Instance
from app.rest.endpoint import Answer, Call, Given, Nothing, ReadCall, WriteCall, read, write
from app.settings import Settings


class InstanceAnswer(Answer, frozen=True):
    """The app in one environment."""

    id: str
    environment: str
    hostname: str
    url: str
    replicas: int
    cpu_millis: int
    memory_mb: int
    current_release_id: str | None
    """Null until a deployment has succeeded."""

    @classmethod
    def of(cls, row: Instance, environment: str, settings: Settings) -> InstanceAnswer:
        return cls(
            id=row.id,
            environment=environment,
            hostname=row.hostname,
            url=settings.app_url(row.hostname),
            replicas=row.replicas,
            cpu_millis=row.cpu_millis,
            memory_mb=row.memory_mb,
            current_release_id=row.current_release_id,
        )


class AppAnswer(Answer, frozen=True):
    id: str
    slug: str
    display_name: str
    container_port: int
    git_url: str
    created_at: datetime
    deleted_at: datetime | None
    """Set while its instances are being stopped; then it is gone."""


class AppDetail(AppAnswer, frozen=True):
    instances: list[InstanceAnswer]


class AppList(Answer, frozen=True):
    apps: list[AppAnswer]


class AppCreate(Given, frozen=True):
    slug: str
    display_name: str | None = None
    container_port: int = service.DEFAULT_PORT


class AppUpdate(Given, frozen=True):
    display_name: str | None = None
    container_port: int | None = None


def _shown(call: Call[Any, Any], row: App) -> AppAnswer:
    return AppAnswer(**_fields(call, row))


def _fields(call: Call[Any, Any], row: App) -> dict[str, Any]:
    return {
        "id": row.id,
        "slug": row.slug,
        "display_name": row.display_name,
        "container_port": row.container_port,
        "git_url": call.container.settings.git_url(
            call.path["org"], call.path["project"], row.slug
        ),
        "created_at": row.created_at,
        "deleted_at": row.deleted_at,
    }


def _detailed(
    call: Call[Any, Any], row: App, instances: Sequence[tuple[Instance, Environment]]
) -> AppDetail:
    settings = call.container.settings
    shown = [
        InstanceAnswer.of(instance, environment.slug, settings)
        for instance, environment in instances
    ]
    return AppDetail(**_fields(call, row), instances=shown)


async def list_apps(call: ReadCall[Nothing]) -> AppList:
    """A project's apps."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    rows = await queries.list_of(call.session, call.actor, project)
    return AppList(apps=[_shown(call, row) for row in rows])


async def create_app(call: WriteCall[AppCreate]) -> AppDetail:
    """Create an app, with an instance in every environment of the project."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    row = await service.create(
        call.session,
        call.actor,
        project,
        slug=call.input.slug,
        display_name=call.input.display_name,
        container_port=call.input.container_port,
        wildcard_base=call.container.settings.wildcard_base,
    )
    return _detailed(call, row, await instance_queries.of_app(call.session, row.id))


async def show_app(call: ReadCall[Nothing]) -> AppDetail:
    """One app and its instances."""
    row = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    return _detailed(call, row, await instance_queries.of_app(call.session, row.id))


async def update_app(call: WriteCall[AppUpdate]) -> AppAnswer:
    """Change its name or port; the slug stays. A port is taken up by the next release."""
    row = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    row = await service.update(
        call.session,
        call.actor,
        row,
        display_name=call.input.display_name,
        container_port=call.input.container_port,
    )
    return _shown(call, row)


async def delete_app(call: WriteCall[Nothing]) -> AppAnswer:
    """Delete it with its instances and its repository."""
    row = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    return _shown(call, await service.delete(call.session, call.actor, row))


_ALL = "/api/orgs/{org}/projects/{project}/apps/"
_ONE = "/api/orgs/{org}/projects/{project}/apps/{app}"

ENDPOINTS = (
    read(_ALL, list_apps, AppList),
    write("POST", _ALL, create_app, AppDetail, AppCreate, status=201),
    read(_ONE, show_app, AppDetail),
    write("PATCH", _ONE, update_app, AppAnswer, AppUpdate),
    write("DELETE", _ONE, delete_app, AppAnswer, status=202),
)
