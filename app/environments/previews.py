"""Preview environments: a branch that the project's rule matches best gets an environment to itself.

set_rule, unset_rule   what a project says; previews that exist stay until they end by themselves
make                   by a push, in its transaction: instances of every app, variables sealed anew, scale
renew                  each push that deploys to one puts its end off
end_with_branch        the last repository of the project lost the branch
end                    what the reconciler (``reconcile.py``) does to one that was not used for long
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete as sql_delete

from app.access import permissions
from app.access.actor import Actor
from app.access.find import Place, place_of, scope_of
from app.access.permissions import Permission, require
from app.access.scope import Scope
from app.apps import queries as app_queries
from app.audit import log
from app.audit.actions import Action
from app.crypto import SecretBox
from app.db import WriteSession
from app.environments import plan, queries
from app.environments.service import mark_deleted, tell
from app.errors import Forbidden, InvalidInput, LimitReached, NotFound, PreconditionFailed, Taken
from app.faults import checkpoint
from app.ids import new_id
from app.instances.pairs import create_pairs
from app.instances.secrets import new_variable, open_value
from app.models import App, Environment, EventKind, Organization, PreviewRule, Project, User
from app.names import MAX_BRANCH_PATTERN
from app.ports.repositories import Repositories
from app.projects import queries as project_queries
from app.quotas.service import growing
from app.refs import BRANCHES

STEPS = ("preview.made", "preview.branch_gone", "preview.expired")
"""Every checkpoint here: all are before the commit of what they took part in."""

DEFAULT_MAXIMUM = 10
DEFAULT_IDLE_HOURS = 24 * 7


@dataclass(frozen=True)
class PreviewMaker:
    """What of the process is needed to make one."""

    box: SecretBox
    wildcard_base: str


async def set_rule(
    session: WriteSession,
    actor: Actor,
    project: Project,
    *,
    branch_pattern: str,
    source: Environment,
    slug_template: str = plan.BRANCH,
    max_environments: int = DEFAULT_MAXIMUM,
    idle_hours: int | None = DEFAULT_IDLE_HOURS,
) -> PreviewRule:
    """Instead of the rule that there was. Whoever sets it must be able to read what will be copied.

    The idle time of previews that exist begins anew.
    """
    await require(session, actor, scope_of(project), Permission.ENVIRONMENT_WRITE)
    scope = Scope(project.organization_id, project.id, source.id)
    await require(session, actor, scope, Permission.ENV_VARS_READ)
    plan.valid_limits(max_environments, idle_hours)
    if source.project_id != project.id or source.is_preview:
        raise InvalidInput(
            f"{source.slug} is no lasting environment of {project.slug}.",
            field="sourceEnvironment",
            hint="Name one of the project's own environments that is not a preview.",
        )
    values = {
        "branch_pattern": plan.valid_preview_pattern(branch_pattern),
        "slug_template": plan.valid_template(slug_template),
        "source_environment_id": source.id,
        "user_id": actor.user_id,
        "max_environments": max_environments,
        "idle_hours": idle_hours,
    }
    project = await project_queries.lock_live(session, project.id)
    await queries.current(session, source.id)
    rule = await queries.lock_rule(session, project.id)
    if rule is None:
        rule = PreviewRule(project_id=project.id, **values)
        session.add(rule)
    for name, value in values.items():
        setattr(rule, name, value)
    for preview in await queries.previews_of(session, project.id):
        renew(preview, rule)
    await session.flush()
    await session.refresh(rule)
    said = f"Branches like {rule.branch_pattern!r} get previews, copied from {source.slug}."
    place = await place_of(session, project)
    await log.record(session, actor, Action.PREVIEW_RULE_SET, place, said)
    return rule


async def unset_rule(session: WriteSession, actor: Actor, project: Project) -> None:
    """No more are made. Those that exist go with their branch, or when their time is over. Twice is fine."""
    await require(session, actor, scope_of(project), Permission.ENVIRONMENT_WRITE)
    project = await project_queries.lock_live(session, project.id)
    await session.execute(sql_delete(PreviewRule).where(PreviewRule.project_id == project.id))
    place = await place_of(session, project)
    said = "Branches get no previews any more."
    await log.record(session, actor, Action.PREVIEW_RULE_UNSET, place, said)


async def make(
    session: WriteSession, maker: PreviewMaker, project_id: str, branch: str
) -> Environment:
    """The branch's environment, with an instance of every app; the one that there is, if another app's
    push was first.

    The caller holds the project's shared lock; pushes that make one take turns at the rule's row.
    Raises a PaasError that says why there is none: the push is skipped for it.
    """
    rule = await queries.lock_rule(session, project_id)
    if rule is None:
        raise NotFound("the preview rule was removed meanwhile")
    existing = await queries.previews_of(session, project_id)
    for preview in existing:
        if preview.preview_branch == branch:
            return preview
    project = await session.get(Project, project_id)
    assert project is not None
    place = await place_of(session, project)
    _require_place(rule, project, existing, branch)
    source = await _source(session, place.organization, project, rule)
    async with session.begin_nested(), growing(session, place.organization.id):
        environment = await _insert(session, maker, place.organization, project, rule, branch)
        await _copy(session, maker.box, source, environment)
    await tell(
        session,
        EventKind.ENVIRONMENT_CREATED,
        Place(place.organization, project, environment),
        user_id=None,
    )
    checkpoint("preview.made")
    return environment


def _require_place(
    rule: PreviewRule, project: Project, existing: Sequence[Environment], branch: str
) -> None:
    if len(existing) >= rule.max_environments:
        names = ", ".join(each.slug for each in existing[:5])
        raise LimitReached(
            f"{project.slug} has {len(existing)} of at most {rule.max_environments} preview"
            f" environments ({names}{', …' if len(existing) > 5 else ''});"
            " delete a branch that is done with, or raise the rule's limit, and push again"
        )
    if len(branch.encode()) > MAX_BRANCH_PATTERN:
        raise InvalidInput(
            f"a branch's name has at most {MAX_BRANCH_PATTERN} bytes for a preview environment"
        )


async def _source(
    session: WriteSession, organization: Organization, project: Project, rule: PreviewRule
) -> Environment:
    """What is copied. The rule's author must still be allowed to read it: who was put out of a protected
    environment may not have left a way in."""
    source = None
    if rule.source_environment_id is not None:
        source = await session.get(Environment, rule.source_environment_id, populate_existing=True)
    if source is None or source.deleted_at is not None:
        raise PreconditionFailed(
            "the environment that previews are copied from was deleted; set the preview rule again"
        )
    author = await session.get(User, rule.user_id) if rule.user_id is not None else None
    if author is None:
        return source
    actor = Actor(user_id=author.id, name=author.name, is_admin=author.is_admin)
    scope = Scope(organization.id, project.id, source.id)
    if not await permissions.allows(session, actor, scope, Permission.ENV_VARS_READ):
        raise Forbidden(
            f"the preview rule was set by {author.name}, who may not read the variables of"
            f" {source.slug} any more; somebody who may has to set it again"
        )
    return source


async def _insert(
    session: WriteSession,
    maker: PreviewMaker,
    organization: Organization,
    project: Project,
    rule: PreviewRule,
    branch: str,
) -> Environment:
    """With the first of its possible slugs that nobody holds."""
    apps = await app_queries.live_in(session, project.id)
    room = plan.room_for_slug(
        organization.slug, project.slug, [app.slug for app in apps], maker.wildcard_base
    )
    for slug in plan.slug_candidates(rule.slug_template, branch, room):
        if await queries.holds_slug(session, project.id, slug):
            continue
        environment = _new(project, rule, branch, slug)
        try:
            async with session.begin_nested():
                await _add(session, maker, organization, project, apps, environment)
        except Taken:
            continue
        return environment
    raise Taken(
        f"no name is free for the preview environment of {branch!r}: shorten the slug of the project or"
        " app, or push again when its former environments have stopped"
    )


def _new(project: Project, rule: PreviewRule, branch: str, slug: str) -> Environment:
    environment = Environment(
        id=new_id("env"),
        project_id=project.id,
        slug=slug,
        display_name=branch[:200],
        branch_pattern=branch,
        is_default=False,
        preview_branch=branch,
    )
    renew(environment, rule)
    return environment


async def _add(
    session: WriteSession,
    maker: PreviewMaker,
    organization: Organization,
    project: Project,
    apps: Sequence[App],
    environment: Environment,
) -> None:
    session.add(environment)
    await session.flush()
    pairs = [(app, environment) for app in apps]
    await create_pairs(session, organization, project, pairs, wildcard_base=maker.wildcard_base)


async def _copy(
    session: WriteSession, box: SecretBox, source: Environment, environment: Environment
) -> None:
    """Variables and scale of each app, as desired there now. Values are sealed for their new rows."""
    copies = {row.app_id: row for row in await queries.instances(session, environment.id)}
    for original in await queries.instances(session, source.id):
        copy = copies.get(original.app_id)
        if copy is None:
            continue
        copy.replicas, copy.cpu_millis = original.replicas, original.cpu_millis
        copy.memory_mb = original.memory_mb
        for row in await queries.variables(session, original.id):
            value = open_value(box, row)
            session.add(new_variable(box, copy.id, row.name, value, is_build=row.is_build))
    await session.flush()


def renew(environment: Environment, rule: PreviewRule | None) -> None:
    """It is in use: its time begins anew."""
    if rule is None or not environment.is_preview:
        return
    hours = rule.idle_hours
    environment.expires_at = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)


async def end_with_branch(
    session: WriteSession, repositories: Repositories, project_id: str, branch: str
) -> Environment | None:
    """The branch's environment, now being torn down, unless another app of the project has the branch."""
    found = [
        preview
        for preview in await queries.previews_of(session, project_id, lock=True)
        if preview.preview_branch == branch
    ]
    if not found or await _is_anywhere(session, repositories, project_id, branch):
        return None
    await mark_deleted(session, found[0])
    checkpoint("preview.branch_gone")
    return found[0]


async def _is_anywhere(
    session: WriteSession, repositories: Repositories, project_id: str, branch: str
) -> bool:
    for app in await app_queries.live_in(session, project_id):
        try:
            if await repositories.read_ref(app.repository_key, BRANCHES + branch) is not None:
                return True
        except NotFound:
            continue  # Nothing was ever pushed to it.
    return False


async def end(session: WriteSession, repositories: Repositories, environment_id: str) -> bool:
    """Whether it was to end: it is a preview whose time is over, or whose branch is nowhere any more.

    A deployment that somebody asked for in another way than by a push counts as use as well.
    """
    environment = await session.get(Environment, environment_id)
    if environment is None or not environment.is_preview:
        return False
    await project_queries.lock(session, environment.project_id)
    await session.refresh(environment)
    if environment.deleted_at is not None:
        return False
    branch, now = environment.preview_branch or "", datetime.now(UTC)
    if await _is_anywhere(session, repositories, environment.project_id, branch):
        if environment.expires_at is None or environment.expires_at > now:
            return False
        rule = await queries.lock_rule(session, environment.project_id)
        last = await queries.last_deployment(session, environment.id)
        if last is not None and rule is not None and rule.idle_hours is not None:
            environment.expires_at = last + timedelta(hours=rule.idle_hours)
        if environment.expires_at > now:
            return False
    await mark_deleted(session, environment)
    checkpoint("preview.expired")
    return True
