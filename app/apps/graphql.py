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
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import Confirm, MutationPayload, mutate, require_confirmation
from app.graphql.node import Node, shows
from app.projects.graphql import Project

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

    @strawberry.field
    async def project(self, info: Info) -> Project:
        found: Project = await info.context.shown(models.Project, self.project_id)
        return found

    @strawberry.field(description="`git remote add paas` this; the password is an API token.")
    async def git_remote_url(self, info: Info) -> str:
        project = await info.context.loaders.by_id(models.Project, self.project_id)
        organization = await info.context.loaders.by_id(
            models.Organization, project.organization_id
        )
        base = info.context.container.settings.external_url
        return f"{base}/git/{organization.slug}/{project.slug}/{self.slug}.git"

    @strawberry.field(description="This app in the environment of that slug.")
    async def instance(self, info: Info, environment: str) -> InstanceType | None:
        place = await info.context.loaders.find(
            models.Environment, project_id=self.project_id, slug=environment
        )
        if place is None or place.deleted_at is not None:
            return None
        found: Instance | None = await info.context.shown_or_none(
            models.Instance, app_id=self.id, environment_id=place.id
        )
        return found

    @strawberry.field(description="One for each environment of the project, by its slug.")
    async def instances(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[InstanceType]:
        return await info.context.connection(INSTANCES, self.id, first, after, last, before)

    @strawberry.field(description="Newest first.")
    async def pushes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[PushType]:
        return await info.context.connection(PUSHES, self.id, first, after, last, before)


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
