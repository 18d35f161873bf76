"""Every SELECT of environments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import scope_of
from app.access.permissions import Permission, require_somewhere
from app.access.visible import narrowing
from app.db import WriteSession
from app.errors import NotFound
from app.models import Deployment, Environment, EnvVar, Instance, PreviewRule, Project


async def list_of(session: AsyncSession, actor: Actor, project: Project) -> Sequence[Environment]:
    """The default first, then by slug."""
    await require_somewhere(session, actor, scope_of(project), Permission.READ)
    return await live_in(session, project.id, *narrowing(actor, Environment))


async def live_in(
    session: AsyncSession, project_id: str, *conditions: ColumnElement[bool]
) -> Sequence[Environment]:
    """Environments that are not being torn down: the default first, then by slug."""
    statement = (
        select(Environment)
        .where(Environment.project_id == project_id, Environment.deleted_at.is_(None), *conditions)
        .order_by(Environment.is_default.desc(), Environment.slug)
    )
    return (await session.scalars(statement)).all()


async def current(session: AsyncSession, environment_id: str) -> Environment:
    """As it is now, under its project's lock. Raises NotFound when it was deleted meanwhile."""
    found = await session.get(Environment, environment_id, populate_existing=True)
    if found is None or found.deleted_at is not None:
        raise NotFound("The environment was deleted meanwhile.")
    return found


async def instance_ids(session: AsyncSession, environment_id: str) -> Sequence[str]:
    statement = select(Instance.id).where(Instance.environment_id == environment_id)
    return (await session.scalars(statement.order_by(Instance.id))).all()


async def instances(session: AsyncSession, environment_id: str) -> Sequence[Instance]:
    statement = select(Instance).where(Instance.environment_id == environment_id)
    return (await session.scalars(statement.order_by(Instance.id))).all()


async def variables(session: AsyncSession, instance_id: str) -> Sequence[EnvVar]:
    statement = select(EnvVar).where(EnvVar.instance_id == instance_id)
    return (await session.scalars(statement.order_by(EnvVar.name))).all()


async def lock_rule(session: WriteSession, project_id: str) -> PreviewRule | None:
    """The project's preview rule as it is now; whoever makes an environment of it takes turns here."""
    statement = (
        select(PreviewRule)
        .where(PreviewRule.project_id == project_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one_or_none()


async def rule_of(
    session: AsyncSession, actor: Actor, project: Project
) -> tuple[PreviewRule, str | None]:
    """The preview rule, and the slug of what is copied if the actor may know of it. Raises NotFound."""
    await require_somewhere(session, actor, scope_of(project), Permission.READ)
    source = (Environment.id == PreviewRule.source_environment_id) & and_(
        true(), *narrowing(actor, Environment)
    )
    statement = (
        select(PreviewRule, Environment.slug)
        .outerjoin(Environment, source)
        .where(PreviewRule.project_id == project.id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(
            f"{project.slug} has no preview rule.",
            hint="With one, branches make their own environments.",
        )
    return row[0], row[1]


async def rule_pattern(session: AsyncSession, project_id: str) -> str | None:
    """The preview rule's, if there is one."""
    statement = select(PreviewRule.branch_pattern).where(PreviewRule.project_id == project_id)
    return await session.scalar(statement)


async def previews_of(
    session: AsyncSession, project_id: str, *, lock: bool = False
) -> Sequence[Environment]:
    """Preview environments that are not being torn down, by slug, as they are now."""
    statement = (
        select(Environment)
        .where(
            Environment.project_id == project_id,
            Environment.preview_branch.is_not(None),
            Environment.deleted_at.is_(None),
        )
        .order_by(Environment.slug)
        .execution_options(populate_existing=True)
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.scalars(statement)).all()


async def holds_slug(session: AsyncSession, project_id: str, slug: str) -> bool:
    """Also one that is being torn down."""
    held = select(Environment.id).where(
        Environment.project_id == project_id, Environment.slug == slug
    )
    return await session.scalar(held) is not None


async def expired_previews(session: AsyncSession) -> Sequence[str]:
    statement = select(Environment.id).where(
        Environment.preview_branch.is_not(None),
        Environment.deleted_at.is_(None),
        Environment.expires_at < func.clock_timestamp(),
    )
    return (await session.scalars(statement.order_by(Environment.id))).all()


async def last_deployment(session: AsyncSession, environment_id: str) -> datetime | None:
    """When the newest deployment to it was asked for."""
    statement = (
        select(func.max(Deployment.created_at))
        .join(Instance, Deployment.instance_id == Instance.id)
        .where(Instance.environment_id == environment_id)
    )
    return await session.scalar(statement)


async def source_of_previews(session: AsyncSession, environment: Environment) -> bool:
    """Whether the project's preview rule copies from it."""
    statement = select(PreviewRule.project_id).where(
        PreviewRule.source_environment_id == environment.id
    )
    return await session.scalar(statement) is not None
