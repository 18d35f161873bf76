"""Environments: where a project's apps run, and which branches are deployed there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.db import WriteSession
from app.environments import plan, previews, queries, service
from app.errors import InvalidInput, NotFound
from app.graphql.connection import Connection, Listing
from app.graphql.context import Info
from app.graphql.fields import maybe, one, page
from app.graphql.idempotency import Key
from app.graphql.mutation import Confirm, MutationPayload, mutate, require_confirmation
from app.graphql.node import FromRow, Node, shows
from app.projects.graphql import Project
from app.pushes.match import match
from app.refs import BRANCHES, ref_problem

if TYPE_CHECKING:
    from app.deployments.graphql import Deployment
    from app.instances.graphql import Instance

DeploymentType = Annotated["Deployment", strawberry.lazy("app.deployments.graphql")]
InstanceType = Annotated["Instance", strawberry.lazy("app.instances.graphql")]

INSTANCES = Listing(
    row=models.Instance,
    parent=models.Instance.environment_id,
    key=models.Instance.hostname,
    join=[(models.App, models.Instance.app_id == models.App.id)],
    where=lambda _: [models.App.deleted_at.is_(None)],
)
DEPLOYMENTS = Listing(
    row=models.Deployment,
    parent=models.Instance.environment_id,
    key=models.Deployment.id,
    descending=True,
    join=[
        (models.Instance, models.Deployment.instance_id == models.Instance.id),
        (models.App, models.Instance.app_id == models.App.id),
    ],
    where=lambda _: [models.App.deleted_at.is_(None)],
)


@shows(models.Environment)
@strawberry.type(description="A place that every app of the project runs in.")
class Environment(Node):
    slug: str
    display_name: str
    branch_pattern: str = strawberry.field(
        description="A push to a branch that this matches best is deployed here: `main`, `release-*`, `*`."
    )
    is_default: bool
    protected_for: list[models.Role] | None = strawberry.field(
        description="The roles that may deploy here and read its variables; null: any that may elsewhere."
    )
    created_at: datetime
    deleted_at: datetime | None = strawberry.field(
        description="Set: it is being torn down, and is gone once its apps are stopped."
    )
    preview_branch: str | None = strawberry.field(
        description="Set on a preview: the branch that made it, and that it ends with."
    )
    expires_at: datetime | None = strawberry.field(
        description="A preview that nothing is deployed to until then is deleted."
    )
    project_id: strawberry.Private[str]

    @strawberry.field(description="Made by the project's preview rule.")
    def is_preview(self) -> bool:
        return self.preview_branch is not None

    project: Project = one(models.Project, id="project_id")

    instances: Connection[InstanceType] = page(
        INSTANCES, description="One for each app of the project, by its slug."
    )

    deployments: Connection[DeploymentType] = page(
        DEPLOYMENTS, description="Of all its apps, newest first."
    )


@shows(models.PreviewRule)
@strawberry.type(
    description="Each branch that `branchPattern` matches best makes its own environment, which ends with it."
)
class PreviewRule(FromRow):
    branch_pattern: str
    slug_template: str = strawberry.field(
        description="The environments' slugs; `{branch}` stands for the branch as a slug."
    )
    max_environments: int = strawberry.field(
        description="With so many, a push to another branch is stored and not deployed."
    )
    idle_hours: int | None = strawberry.field(
        description="A preview that nothing was deployed to for so long is deleted. Null: it is not."
    )
    source_environment_id: strawberry.Private[str | None]

    source_environment: Environment | None = maybe(
        models.Environment,
        id="source_environment_id",
        description="Whose variables and scale each new one is given. Null: it was deleted, and no more are made.",
    )


@strawberry.type(description="Where a push to a branch would go, and why.")
class BranchMatch:
    branch: str
    environments: list[Environment] = strawberry.field(
        description="All that hold the winning pattern; empty when the push would be skipped."
    )
    pattern: str | None
    reason: str = strawberry.field(description="What the git client would be told.")
    makes_preview: bool = strawberry.field(
        description="The preview rule wins: a push makes an environment for this branch alone."
    )

    @strawberry.field
    def skipped(self) -> bool:
        return not (self.environments or self.makes_preview)


@strawberry.type
class EnvironmentQueries:
    @strawberry.field(
        description="Null for an unknown project. An exact pattern beats globs, the more specific glob"
        " the less, and `*` comes last."
    )
    async def branch_match(
        self, info: Info, project_id: strawberry.ID, branch: str
    ) -> BranchMatch | None:
        problem = ref_problem(BRANCHES + branch)
        if problem is not None:
            raise InvalidInput(f"No branch has that name: {problem}.", field="branch")
        actor = info.context.require_actor()
        async with info.context.container.database.read_session() as session:
            try:
                project = await find.project(session, actor, id=project_id)
            except NotFound:
                return None
            rows = {row.slug: row for row in await queries.live_in(session, project.id)}
            shown = {row.id for row in await queries.list_of(session, actor, project)}
            rule = await queries.rule_pattern(session, project.id)
        found = match(branch, {slug: row.branch_pattern for slug, row in rows.items()}, rule)
        return BranchMatch(
            branch=branch,
            environments=[
                Environment.of(rows[slug]) for slug in found.environments if rows[slug].id in shown
            ],
            pattern=found.pattern,
            reason=found.reason,
            makes_preview=found.makes_preview,
        )


@strawberry.input
class EnvironmentCreateInput:
    project_id: strawberry.ID
    slug: str
    display_name: str | None = None
    branch_pattern: str
    make_default: bool = False


@strawberry.input(description="Only what is given changes. The slug never does.")
class EnvironmentUpdateInput:
    display_name: str | None = None
    branch_pattern: str | None = None
    make_default: bool | None = strawberry.field(
        default=None,
        description="True moves the default here; to take it away, make another the default.",
    )


@strawberry.type
class EnvironmentPayload(MutationPayload):
    environment: Environment | None = None


@strawberry.input(description="Replaces the rule that there was.")
class PreviewRuleInput:
    project_id: strawberry.ID
    branch_pattern: str = strawberry.field(description="A glob: `pr-*`.")
    source_environment_id: strawberry.ID = strawberry.field(
        description="Its variables and scale are copied; you must be able to read their values."
    )
    slug_template: str = plan.BRANCH
    max_environments: int = previews.DEFAULT_MAXIMUM
    idle_hours: int | None = previews.DEFAULT_IDLE_HOURS


@strawberry.type
class PreviewRulePayload(MutationPayload):
    preview_rule: PreviewRule | None = None
    project: Project | None = None


@strawberry.type
class EnvironmentMutations:
    @strawberry.mutation(
        description="From now on, each branch that the pattern matches best makes its own environment."
    )
    async def preview_rule_set(self, info: Info, input: PreviewRuleInput) -> PreviewRulePayload:
        async def work(session: WriteSession, actor: Actor) -> PreviewRulePayload:
            project = await find.project(session, actor, id=input.project_id)
            row = await previews.set_rule(
                session,
                actor,
                project,
                branch_pattern=input.branch_pattern,
                source=await find.environment(session, actor, id=input.source_environment_id),
                slug_template=input.slug_template,
                max_environments=input.max_environments,
                idle_hours=input.idle_hours,
            )
            return PreviewRulePayload(preview_rule=PreviewRule.of(row), project=Project.of(project))

        return await mutate(info, PreviewRulePayload, work)

    @strawberry.mutation(
        description="No more are made. Those that exist end with their branch, or when their time is over."
    )
    async def preview_rule_unset(self, info: Info, project_id: strawberry.ID) -> PreviewRulePayload:
        async def work(session: WriteSession, actor: Actor) -> PreviewRulePayload:
            project = await find.project(session, actor, id=project_id)
            await previews.unset_rule(session, actor, project)
            return PreviewRulePayload(project=Project.of(project))

        return await mutate(info, PreviewRulePayload, work)

    @strawberry.mutation(description="With an instance of every app of the project.")
    async def environment_create(
        self, info: Info, input: EnvironmentCreateInput, idempotency_key: Key = None
    ) -> EnvironmentPayload:
        async def work(session: WriteSession, actor: Actor) -> EnvironmentPayload:
            row = await service.create(
                session,
                actor,
                await find.project(session, actor, id=input.project_id),
                slug=input.slug,
                display_name=input.display_name,
                branch_pattern=input.branch_pattern,
                make_default=input.make_default,
                wildcard_base=info.context.container.settings.wildcard_base,
            )
            return EnvironmentPayload(environment=Environment.of(row))

        return await mutate(info, EnvironmentPayload, work, key=idempotency_key)

    @strawberry.mutation
    async def environment_update(
        self, info: Info, id: strawberry.ID, input: EnvironmentUpdateInput
    ) -> EnvironmentPayload:
        async def work(session: WriteSession, actor: Actor) -> EnvironmentPayload:
            row = await service.update(
                session,
                actor,
                await find.environment(session, actor, id=id),
                display_name=input.display_name,
                branch_pattern=input.branch_pattern,
                make_default=input.make_default,
            )
            return EnvironmentPayload(environment=Environment.of(row))

        return await mutate(info, EnvironmentPayload, work)

    @strawberry.mutation(
        description="Its apps are stopped, and their variables, jobs and routes removed. The default"
        " environment is refused: make another the default first."
    )
    async def environment_delete(
        self, info: Info, id: strawberry.ID, confirm: Confirm
    ) -> EnvironmentPayload:
        async def work(session: WriteSession, actor: Actor) -> EnvironmentPayload:
            row = await find.environment(session, actor, id=id)
            require_confirmation(row.slug, confirm)
            row = await service.delete(session, actor, row)
            return EnvironmentPayload(environment=Environment.of(row))

        return await mutate(info, EnvironmentPayload, work)
