"""Projects: what environments and apps belong to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.access.graphql import PROJECT_MEMBERS, ProjectMembership
from app.access.scope import Scope
from app.db import WriteSession
from app.graphql.connection import Connection, Listing
from app.graphql.context import Info
from app.graphql.fields import found, one, page
from app.graphql.idempotency import Key
from app.graphql.lookup import Lookup
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shows
from app.organizations.graphql import Organization
from app.projects import service

if TYPE_CHECKING:
    from app.apps.graphql import App
    from app.environments.graphql import Environment, PreviewRule

AppType = Annotated["App", strawberry.lazy("app.apps.graphql")]
EnvironmentType = Annotated["Environment", strawberry.lazy("app.environments.graphql")]
PreviewRuleType = Annotated["PreviewRule", strawberry.lazy("app.environments.graphql")]

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

DEFAULT_ENVIRONMENT = Lookup(
    row=models.Environment,
    columns=(models.Environment.project_id,),
    where=[models.Environment.is_default.is_(True)],
)
ENVIRONMENT = Lookup(
    row=models.Environment,
    columns=(models.Environment.project_id, models.Environment.slug),
    where=[models.Environment.deleted_at.is_(None)],
)
APP = Lookup(
    row=models.App,
    columns=(models.App.project_id, models.App.slug),
    where=[models.App.deleted_at.is_(None)],
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

    organization: Organization = one(models.Organization, id="organization_id")

    default_environment: EnvironmentType | None = found(
        DEFAULT_ENVIRONMENT, "id", description="There is always exactly one."
    )

    @strawberry.field(description="Null: branches make no environments.")
    async def preview_rule(self, info: Info) -> PreviewRuleType | None:
        found: PreviewRule | None = await info.context.shown_or_none(
            models.PreviewRule, project_id=self.id
        )
        return found

    environment: EnvironmentType | None = found(ENVIRONMENT, "id", slug=str)

    environments: Connection[EnvironmentType] = page(ENVIRONMENTS, description="By slug.")

    app: AppType | None = found(APP, "id", slug=str)

    apps: Connection[AppType] = page(APPS, description="By slug.")

    @strawberry.field(
        description="The viewer's own role here, the stronger of those in the organization and the project."
    )
    async def viewer_role(self, info: Info) -> models.Role | None:
        return await info.context.role_in(Scope(self.organization_id, self.id))

    members: Connection[ProjectMembership] = page(
        PROJECT_MEMBERS, description="Who has a role of their own in this project."
    )


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
