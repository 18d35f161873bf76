"""What can be done to environments. A project always keeps exactly one default."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import update as sql_update

from app.access.actor import Actor
from app.access.find import Place, place_of, scope_of
from app.access.permissions import Permission, require
from app.apps import queries as app_queries
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession, flush_or
from app.environments import queries
from app.errors import DefaultEnvironment, PreconditionFailed, Taken
from app.events import service as events
from app.ids import new_id
from app.instances.pairs import create_pairs
from app.models import Environment, EventKind, Project, Role
from app.names import valid_branch_pattern, valid_display_name, valid_slug
from app.projects import queries as project_queries
from app.quotas.service import growing


async def create(
    session: WriteSession,
    actor: Actor,
    project: Project,
    *,
    slug: str,
    branch_pattern: str,
    wildcard_base: str,
    display_name: str | None = None,
    make_default: bool = False,
) -> Environment:
    """With an instance of every app of the project. Raises Taken for a slug or a hostname in use."""
    await require(session, actor, scope_of(project), Permission.ENVIRONMENT_WRITE)
    environment = Environment(
        id=new_id("env"),
        project_id=project.id,
        slug=valid_slug(slug),
        display_name=valid_display_name(display_name, default=slug),
        branch_pattern=valid_branch_pattern(branch_pattern),
        is_default=make_default,
    )
    project = await project_queries.lock_live(session, project.id)
    if make_default:
        await _clear_default(session, project.id)
    session.add(environment)
    taken = Taken(
        f"{project.slug} already has an environment {slug}.",
        field="slug",
        hint="Choose another slug. A deleted environment keeps its own until its apps are stopped.",
    )
    await flush_or(session, {"uq_environment_project_id_slug": taken})
    place = await place_of(session, environment)
    apps = await app_queries.live_in(session, project.id)
    pairs = [(app, environment) for app in apps]
    async with growing(session, project.organization_id):
        await create_pairs(session, place.organization, project, pairs, wildcard_base=wildcard_base)
    created = f"Created the environment {slug}, for {environment.branch_pattern!r}."
    await log.record(session, actor, Action.ENVIRONMENT_CREATE, place, created)
    await tell(session, EventKind.ENVIRONMENT_CREATED, place, user_id=actor.user_id)
    return environment


async def update(
    session: WriteSession,
    actor: Actor,
    environment: Environment,
    *,
    display_name: str | None = None,
    branch_pattern: str | None = None,
    make_default: bool | None = None,
) -> Environment:
    """Only what is given changes. Raises DefaultEnvironment when the default would lose its place."""
    place = await place_of(session, environment)
    await require(session, actor, place.scope, Permission.ENVIRONMENT_WRITE)
    await project_queries.lock_live(session, place.project.id)
    environment = await queries.current(session, environment.id)
    if display_name is not None:
        environment.display_name = valid_display_name(display_name, default=environment.slug)
    if branch_pattern is not None:
        environment.branch_pattern = valid_branch_pattern(branch_pattern)
    if make_default is False and environment.is_default:
        raise _keeps_its_default(environment, "stop being the default")
    if make_default and not environment.is_default:
        await _clear_default(session, place.project.id)
        environment.is_default = True
    await session.flush()
    changed = f"Changed the environment {environment.slug}, for {environment.branch_pattern!r}."
    await log.record(session, actor, Action.ENVIRONMENT_UPDATE, place, changed)
    return environment


async def protect(
    session: WriteSession,
    actor: Actor,
    environment: Environment,
    roles: Collection[Role] | None,
) -> Environment:
    """Keep it for these roles and owners; None: for any that may elsewhere.

    Once it is protected, only who it is kept for may change that.
    """
    place = await place_of(session, environment)
    await require(session, actor, place.scope, Permission.ENVIRONMENT_PROTECT)
    await project_queries.lock_live(session, place.project.id)
    environment = await queries.current(session, environment.id)
    environment.protected_for = (
        None if roles is None else [role.value for role in Role if role in {*roles, Role.OWNER}]
    )
    await session.flush()
    kept = environment.protected_for
    told = "Any role may deploy here again." if kept is None else f"Kept it for {', '.join(kept)}."
    await log.record(session, actor, Action.ENVIRONMENT_PROTECT, place, told)
    return environment


async def delete(session: WriteSession, actor: Actor, environment: Environment) -> Environment:
    """Marks it; its instances' reconciler stops the jobs and removes variables, routes and rows.

    The default is refused with DefaultEnvironment.
    """
    place = await place_of(session, environment)
    await require(session, actor, place.scope, Permission.ENVIRONMENT_DELETE)
    await project_queries.lock_live(session, place.project.id)
    environment = await queries.current(session, environment.id)
    if environment.is_default:
        raise _keeps_its_default(environment, "be deleted")
    if await queries.source_of_previews(session, environment):
        raise PreconditionFailed(
            f"Preview environments are copied from {environment.slug}.",
            hint="Let the project's preview rule name another environment first, or remove the rule.",
        )
    await mark_deleted(session, environment, user_id=actor.user_id)
    deleted = f"Deleted the environment {environment.slug}."
    await log.record(session, actor, Action.ENVIRONMENT_DELETE, place, deleted)
    return environment


async def tell(
    session: WriteSession, kind: EventKind, place: Place, *, user_id: str | None
) -> None:
    """An event of the environment at ``place``."""
    environment, scope = place.environment, place.scope
    assert environment is not None
    subject = events.Subject(scope.organization_id, scope.project_id, environment.id)
    payload = {
        "slug": environment.slug,
        "branchPattern": environment.branch_pattern,
        "isPreview": environment.is_preview,
    }
    await events.tell(session, kind, subject, payload, user_id=user_id)


async def mark_deleted(
    session: WriteSession, environment: Environment, *, user_id: str | None = None
) -> None:
    """Its instances are torn down from the commit on. Whether it may go is the caller's to ask."""
    environment.deleted_at = datetime.now(UTC)
    await session.flush()
    place = await place_of(session, environment)
    await tell(session, EventKind.ENVIRONMENT_DELETED, place, user_id=user_id)
    for instance_id in await queries.instance_ids(session, environment.id):
        await session.wake("instance", instance_id)
    await session.wake("teardown", environment.id)


async def _clear_default(session: WriteSession, project_id: str) -> None:
    await session.execute(
        sql_update(Environment)
        .where(Environment.project_id == project_id, Environment.is_default)
        .values(is_default=False)
    )


def _keeps_its_default(environment: Environment, what: str) -> DefaultEnvironment:
    return DefaultEnvironment(
        f"{environment.slug} is the project's default environment, and cannot {what}.",
        field="makeDefault" if what != "be deleted" else None,
        hint='Make another the default first: PATCH …/envs/{env} with {"makeDefault": true}.',
    )
