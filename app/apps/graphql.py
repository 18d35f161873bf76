"""Apps: one git remote each, running in every environment of their project."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.apps import service
from app.db import WriteSession
from app.graphql.connection import Connection, Listing
from app.graphql.context import Info
from app.graphql.fields import found, one, page, spelled
from app.graphql.idempotency import Key
from app.graphql.lookup import Lookup
from app.graphql.mutation import Confirm, MutationPayload, mutate, require_confirmation
from app.graphql.node import Node, shows
from app.projects.graphql import Project
from app.remotes.graphql import Remote

if TYPE_CHECKING:
    from app.deployments.graphql import Deployment
    from app.instances.graphql import Instance
    from app.pushes.graphql import Push

DeploymentType = Annotated["Deployment", strawberry.lazy("app.deployments.graphql")]
InstanceType = Annotated["Instance", strawberry.lazy("app.instances.graphql")]
PushType = Annotated["Push", strawberry.lazy("app.pushes.graphql")]

INSTANCES = Listing(
    row=models.Instance,
    parent=models.Instance.app_id,
    key=models.Instance.hostname,
    join=[(models.Environment, models.Instance.environment_id == models.Environment.id)],
    where=lambda _: [models.Environment.deleted_at.is_(None)],
)
INSTANCE = Lookup(
    row=models.Instance,
    columns=(models.Environment.project_id, models.Instance.app_id, models.Environment.slug),
    join=[(models.Environment, models.Instance.environment_id == models.Environment.id)],
    where=[models.Environment.deleted_at.is_(None)],
)
PUSHES = Listing(row=models.Push, parent=models.Push.app_id, key=models.Push.id, descending=True)


@shows(models.App)
@strawberry.type(description="What a repository holds the code of.")
class App(Node):
    slug: str
    display_name: str
    container_port: int = strawberry.field(
        description="Where an image listens; a slug is told by $PORT."
    )
    created_at: datetime
    deleted_at: datetime | None = strawberry.field(
        description="Set: it is being torn down, and is gone once it is stopped everywhere."
    )
    project_id: strawberry.Private[str]

    project: Project = one(models.Project, id="project_id")

    git_remote_url: str = spelled(
        "{platform.external_url}/git/{project.organization.slug}/{project.slug}/{slug}.git",
        description="`git remote add paas` this; the password is an API token.",
    )

    instance: InstanceType | None = found(
        INSTANCE,
        "project_id",
        "id",
        environment=str,
        description="This app in the environment of that slug.",
    )

    instances: Connection[InstanceType] = page(
        INSTANCES, description="One for each environment of the project, by its slug."
    )

    pushes: Connection[PushType] = page(PUSHES, description="Newest first.")

    @strawberry.field(description="Where its code is besides here; null: nowhere.")
    async def remote(self, info: Info) -> Remote | None:
        row: Remote | None = await info.context.shown_or_none(models.Remote, app_id=self.id)
        return row


@strawberry.input
class AppCreateInput:
    project_id: strawberry.ID
    slug: str
    display_name: str | None = None
    container_port: int = service.DEFAULT_PORT


@strawberry.input(description="Only what is given changes. The slug never does.")
class AppUpdateInput:
    display_name: str | None = None
    container_port: int | None = strawberry.field(
        default=None, description="Taken up by the next release of each instance."
    )


@strawberry.type
class AppPayload(MutationPayload):
    app: App | None = None


@strawberry.type
class AppMutations:
    @strawberry.mutation(description="With an instance in every environment of the project.")
    async def app_create(
        self, info: Info, input: AppCreateInput, idempotency_key: Key = None
    ) -> AppPayload:
        async def work(session: WriteSession, actor: Actor) -> AppPayload:
            row = await service.create(
                session,
                actor,
                await find.project(session, actor, id=input.project_id),
                slug=input.slug,
                display_name=input.display_name,
                container_port=input.container_port,
                wildcard_base=info.context.container.settings.wildcard_base,
            )
            return AppPayload(app=App.of(row))

        return await mutate(info, AppPayload, work, key=idempotency_key)

    @strawberry.mutation
    async def app_update(self, info: Info, id: strawberry.ID, input: AppUpdateInput) -> AppPayload:
        async def work(session: WriteSession, actor: Actor) -> AppPayload:
            row = await service.update(
                session,
                actor,
                await find.app(session, actor, id=id),
                display_name=input.display_name,
                container_port=input.container_port,
            )
            return AppPayload(app=App.of(row))

        return await mutate(info, AppPayload, work)

    @strawberry.mutation(
        description="It is stopped everywhere; then its repository, releases and logs are removed."
    )
    async def app_delete(self, info: Info, id: strawberry.ID, confirm: Confirm) -> AppPayload:
        async def work(session: WriteSession, actor: Actor) -> AppPayload:
            row = await find.app(session, actor, id=id)
            require_confirmation(row.slug, confirm)
            return AppPayload(app=App.of(await service.delete(session, actor, row)))

        return await mutate(info, AppPayload, work)
