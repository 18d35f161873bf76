"""Environments of a project."""

from __future__ import annotations

from datetime import datetime

from app.access import find
from app.environments import plan, previews, queries, service
from app.models import Environment, PreviewRule
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write


class EnvironmentAnswer(Answer, frozen=True):
    id: str
    slug: str
    display_name: str
    branch_pattern: str
    is_default: bool
    protected_for: list[str] | None
    """The roles that may deploy here and see its variables; null: any that may elsewhere."""
    created_at: datetime
    deleted_at: datetime | None
    """Set while its apps are being stopped; then it is gone."""
    is_preview: bool
    preview_branch: str | None
    """Set on a preview: the branch that made it, and that it ends with."""
    expires_at: datetime | None
    """A preview that nothing is deployed to until then is deleted."""

    @classmethod
    def of(cls, row: Environment) -> EnvironmentAnswer:
        return cls(
            id=row.id,
            slug=row.slug,
            display_name=row.display_name,
            branch_pattern=row.branch_pattern,
            is_default=row.is_default,
            protected_for=row.protected_for,
            created_at=row.created_at,
            deleted_at=row.deleted_at,
            is_preview=row.is_preview,
            preview_branch=row.preview_branch,
            expires_at=row.expires_at,
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


class PreviewRuleAnswer(Answer, frozen=True):
    branch_pattern: str
    slug_template: str
    source_environment: str | None
    """Its slug; null: it was deleted, and no more previews are made."""
    max_environments: int
    idle_hours: int | None


class PreviewRuleInput(Given, frozen=True):
    branch_pattern: str
    source_environment: str
    """The slug of the environment whose variables and scale are copied."""
    slug_template: str = plan.BRANCH
    max_environments: int = previews.DEFAULT_MAXIMUM
    idle_hours: int | None = previews.DEFAULT_IDLE_HOURS


async def show_preview_rule(call: ReadCall[Nothing]) -> PreviewRuleAnswer:
    """Which branches make environments of their own; not found when none does."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    rule, source = await queries.rule_of(call.session, call.actor, project)
    return _rule_answer(rule, source)


async def set_preview_rule(call: WriteCall[PreviewRuleInput]) -> PreviewRuleAnswer:
    """Let each branch that a glob matches best make its own environment, and end with it."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    slugs = (*call.slugs(), call.input.source_environment)
    source = await find.environment(call.session, call.actor, slugs=slugs)
    rule = await previews.set_rule(
        call.session,
        call.actor,
        project,
        branch_pattern=call.input.branch_pattern,
        source=source,
        slug_template=call.input.slug_template,
        max_environments=call.input.max_environments,
        idle_hours=call.input.idle_hours,
    )
    return _rule_answer(rule, source.slug)


async def unset_preview_rule(call: WriteCall[Nothing]) -> None:
    """Make no more previews; those that exist end by themselves."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    await previews.unset_rule(call.session, call.actor, project)


def _rule_answer(rule: PreviewRule, source: str | None) -> PreviewRuleAnswer:
    return PreviewRuleAnswer(
        branch_pattern=rule.branch_pattern,
        slug_template=rule.slug_template,
        source_environment=source,
        max_environments=rule.max_environments,
        idle_hours=rule.idle_hours,
    )


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
_RULE = "/api/orgs/{org}/projects/{project}/preview-rule"

ENDPOINTS = (
    read(_ALL, list_environments, EnvironmentList),
    write("POST", _ALL, create_environment, EnvironmentAnswer, EnvironmentCreate, status=201),
    read(_ONE, show_environment, EnvironmentAnswer),
    write("PATCH", _ONE, update_environment, EnvironmentAnswer, EnvironmentUpdate),
    write("DELETE", _ONE, delete_environment, EnvironmentAnswer, status=202),
    read(_RULE, show_preview_rule, PreviewRuleAnswer),
    write("PUT", _RULE, set_preview_rule, PreviewRuleAnswer, PreviewRuleInput),
    write("DELETE", _RULE, unset_preview_rule, None),
)
