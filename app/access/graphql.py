"""Roles in projects, and environments that are kept for some roles."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find, project_members, users
from app.access.actor import Actor
from app.db import WriteSession
from app.environments import service as environments
from app.graphql.connection import Listing
from app.graphql.context import Info
from app.graphql.fields import one
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shown, shows
from app.tokens.graphql import User

if TYPE_CHECKING:
    from app.environments.graphql import Environment
    from app.projects.graphql import Project

EnvironmentType = Annotated["Environment", strawberry.lazy("app.environments.graphql")]
ProjectType = Annotated["Project", strawberry.lazy("app.projects.graphql")]

PROJECT_MEMBERS = Listing(
    row=models.ProjectMembership,
    parent=models.ProjectMembership.project_id,
    key=models.ProjectMembership.id,
)


@shows(models.ProjectMembership)
@strawberry.type(
    description="A user's role in one project: it raises the one in the organization, or stands alone."
)
class ProjectMembership(Node):
    role: models.Role
    created_at: datetime
    project_id: strawberry.Private[str]
    user_id: strawberry.Private[str]

    project: ProjectType = one(models.Project, id="project_id")

    user: User = one(models.User, id="user_id")


@strawberry.input
class ProjectMemberSetInput:
    project_id: strawberry.ID
    user: str = strawberry.field(description="The name of an existing user.")
    role: models.Role


@strawberry.type
class ProjectMembershipPayload(MutationPayload):
    membership: ProjectMembership | None = None


@strawberry.type
class ProjectMemberRemovePayload(MutationPayload):
    project: ProjectType | None = None


@strawberry.type
class EnvironmentProtectPayload(MutationPayload):
    environment: EnvironmentType | None = None


@strawberry.type
class AccessMutations:
    @strawberry.mutation(
        description="Give a user a role in one project, or change it. Whoever has no role in the"
        " organization then sees its name and this project, and nothing else."
    )
    async def project_member_set(
        self, info: Info, input: ProjectMemberSetInput
    ) -> ProjectMembershipPayload:
        async def work(session: WriteSession, actor: Actor) -> ProjectMembershipPayload:
            project = await find.project(session, actor, id=input.project_id)
            user = await users.by_name(session, input.user)
            row = await project_members.set_role(session, actor, project, user, input.role)
            return ProjectMembershipPayload(membership=shown(row))

        return await mutate(info, ProjectMembershipPayload, work)

    @strawberry.mutation(description="Take a user's own role in one project, or give up yours.")
    async def project_member_remove(
        self, info: Info, project_id: strawberry.ID, user: str
    ) -> ProjectMemberRemovePayload:
        async def work(session: WriteSession, actor: Actor) -> ProjectMemberRemovePayload:
            project = await find.project(session, actor, id=project_id)
            member = await users.by_name(session, user)
            await project_members.remove(session, actor, project, member)
            return ProjectMemberRemovePayload(project=shown(project))

        return await mutate(info, ProjectMemberRemovePayload, work)

    @strawberry.mutation(
        description="Keep an environment for some roles: only these, and owners, deploy there and read or"
        " write its variables. Null: any role that may elsewhere."
    )
    async def environment_protect(
        self, info: Info, id: strawberry.ID, roles: list[models.Role] | None
    ) -> EnvironmentProtectPayload:
        async def work(session: WriteSession, actor: Actor) -> EnvironmentProtectPayload:
            row = await find.environment(session, actor, id=id)
            row = await environments.protect(session, actor, row, roles)
            return EnvironmentProtectPayload(environment=shown(row))

        return await mutate(info, EnvironmentProtectPayload, work)
