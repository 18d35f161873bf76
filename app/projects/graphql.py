"""Projects: what environments and apps belong to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.db import WriteSession
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shows
from app.organizations.graphql import Organization
from app.projects import service

if TYPE_CHECKING:
    from app.apps.graphql import App
    from app.environments.graphql import Environment

AppType = Annotated["App", strawberry.lazy("app.apps.graphql")]
EnvironmentType = Annotated["Environment", strawberry.lazy("app.environments.graphql")]

ENVIRONMENTS = Listing(
    row=models.Environment,
    parent=models.Environment.project_id,
    key=models.Environment.slug,
    where=lambda _: [models.Environment.deleted_at.is_(None)],
)
APPS = Listing(
    row=models.App,
    parent=models.App.project_id,
    key=models.App.slug,
    where=lambda _: [models.App.deleted_at.is_(None)],
)


@shows(models.Project)
@strawberry.type(description="Apps that belong together, and the environments they run in.")
class Project(Node):
    slug: str
    display_name: str
    created_at: datetime
    deleted_at: datetime | None = strawberry.field(
        description="Set: its apps are stopped, and it takes no pushes or changes until it is restored."
    )
    organization_id: strawberry.Private[str]

    @strawberry.field
    async def organization(self, info: Info) -> Organization:
        found: Organization = await info.context.shown(models.Organization, self.organization_id)
        return found

    @strawberry.field(description="There is always exactly one.")
    async def default_environment(self, info: Info) -> EnvironmentType | None:
        found: Environment | None = await info.context.shown_or_none(
            models.Environment, project_id=self.id, is_default=True
        )
        return found

    @strawberry.field
    async def environment(self, info: Info, slug: str) -> EnvironmentType | None:
        found: Environment | None = await info.context.shown_or_none(
            models.Environment, project_id=self.id, slug=slug
        )
        return None if found is None or found.deleted_at else found

    @strawberry.field(description="By slug.")
    async def environments(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[EnvironmentType]:
        return await info.context.connection(ENVIRONMENTS, self.id, first, after, last, before)

    @strawberry.field
    async def app(self, info: Info, slug: str) -> AppType | None:
        found: App | None = await info.context.shown_or_none(
            models.App, project_id=self.id, slug=slug
        )
        return None if found is None or found.deleted_at else found

    @strawberry.field(description="By slug.")
    async def apps(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AppType]:
        return await info.context.connection(APPS, self.id, first, after, last, before)


@strawberry.input
class ProjectCreateInput:
    organization_id: strawberry.ID
    slug: str
    display_name: str | None = None


@strawberry.input(description="Only what is given changes. The slug never does.")
class ProjectUpdateInput:
    display_name: str | None = None


@strawberry.type
class ProjectPayload(MutationPayload):
    project: Project | None = None


@strawberry.type
class ProjectMutations:
    @strawberry.mutation(
        description="With its first environment: `production`, the default, deployed by pushes to `main`."
    )
    async def project_create(
        self, info: Info, input: ProjectCreateInput, idempotency_key: Key = None
    ) -> ProjectPayload:
        async def work(session: WriteSession, actor: Actor) -> ProjectPayload:
            organization = await find.organization(session, actor, id=input.organization_id)
            row = await service.create(
                session, actor, organization, slug=input.slug, display_name=input.display_name
            )
            return ProjectPayload(project=Project.of(row))

        return await mutate(info, ProjectPayload, work, key=idempotency_key)

    @strawberry.mutation
    async def project_update(
        self, info: Info, id: strawberry.ID, input: ProjectUpdateInput
    ) -> ProjectPayload:
        async def work(session: WriteSession, actor: Actor) -> ProjectPayload:
            row = await find.project(session, actor, id=id)
            name = row.display_name if input.display_name is None else input.display_name
            row = await service.update(session, actor, row, display_name=name)
            return ProjectPayload(project=Project.of(row))

        return await mutate(info, ProjectPayload, work)

    @strawberry.mutation(
        description="Stops its apps and refuses pushes and deploys. `projectRestore` brings it back."
    )
    async def project_delete(self, info: Info, id: strawberry.ID) -> ProjectPayload:
        async def work(session: WriteSession, actor: Actor) -> ProjectPayload:
            row = await find.project(session, actor, id=id)
            return ProjectPayload(project=Project.of(await service.delete(session, actor, row)))

        return await mutate(info, ProjectPayload, work)

    @strawberry.mutation(description="As it was: every app's current release is started again.")
    async def project_restore(self, info: Info, id: strawberry.ID) -> ProjectPayload:
        async def work(session: WriteSession, actor: Actor) -> ProjectPayload:
            row = await find.project(session, actor, id=id)
            return ProjectPayload(project=Project.of(await service.restore(session, actor, row)))

        return await mutate(info, ProjectPayload, work)
