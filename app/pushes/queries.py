"""Every SELECT of pushes, and the locks under which they are settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import WriteSession
from app.models import (
    TERMINAL_STATUSES,
    App,
    Deployment,
    DeploymentStatus,
    Environment,
    Instance,
    PreviewRule,
    Project,
    Push,
    PushStatus,
)
from app.pushes.match import Match, match

UNFINISHED = tuple(status for status in DeploymentStatus if status not in TERMINAL_STATUSES)


@dataclass(frozen=True)
class Target:
    """Where an app may be deployed."""

    instance: Instance
    environment: Environment


async def lock_app(session: WriteSession, app_id: str) -> tuple[App, Project] | None:
    """Pushes to one app take turns from here to the commit; None when the app is gone.

    This order of turns is also the order of the refs' moves and of the deployments' numbers.
    The project is locked first, as everywhere, so that it is not deleted meanwhile: Postgres takes the
    locks of one statement in the order of their clauses.
    """
    statement = (
        select(App, Project)
        .join(Project, App.project_id == Project.id)
        .where(App.id == app_id)
        .with_for_update(read=True, of=Project)
        .suffix_with(text("FOR NO KEY UPDATE OF app"))
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else (row[0], row[1])


async def of_ids(session: AsyncSession, ids: Sequence[str]) -> Sequence[Push]:
    """As they are in the database now, in the order of their ids."""
    statement = select(Push).where(Push.id.in_(ids)).order_by(Push.id)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def unsettled_of_refs(
    session: AsyncSession, app_id: str, refs: Sequence[str]
) -> Sequence[Push]:
    """Pushes that were recorded and not settled, oldest first; not those that wait for deployments."""
    statement = (
        select(Push)
        .where(
            Push.app_id == app_id,
            Push.status == PushStatus.RECEIVED,
            Push.ref.in_(refs),
            ~_deployed(),
        )
        .order_by(Push.id)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def abandoned(session: AsyncSession, *, older_than: timedelta) -> Sequence[str]:
    """Pushes to finish: their server died, or what they waited for has ended."""
    died = Push.created_at < func.clock_timestamp() - older_than
    statement = (
        select(Push.id)
        .where(
            Push.status == PushStatus.RECEIVED,
            or_(
                ~_deployed() & died,
                _deployed() & ~_deployed(Deployment.status.in_(UNFINISHED)),
            ),
        )
        .order_by(Push.id)
    )
    return (await session.scalars(statement)).all()


def _deployed(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(Deployment.id).where(Deployment.push_id == Push.id, *conditions).exists()


@dataclass(frozen=True)
class Targets:
    """Where an app's branches go."""

    existing: Sequence[Target]
    rule: PreviewRule | None

    def match(self, branch: str) -> Match:
        patterns = {
            each.environment.slug: each.environment.branch_pattern for each in self.existing
        }
        return match(branch, patterns, self.rule.branch_pattern if self.rule else None)


async def targets(session: AsyncSession, app_id: str) -> Targets:
    """The app in every environment that is not being torn down: there is always the default."""
    statement = (
        select(Instance, Environment, PreviewRule)
        .join(Environment, Instance.environment_id == Environment.id)
        .outerjoin(PreviewRule, PreviewRule.project_id == Environment.project_id)
        .where(Instance.app_id == app_id, Environment.deleted_at.is_(None))
        .order_by(Environment.slug)
    )
    rows = (await session.execute(statement)).all()
    return Targets([Target(row[0], row[1]) for row in rows], rows[0][2] if rows else None)


async def deployments_of(
    session: AsyncSession, push_id: str
) -> Sequence[tuple[Deployment, Environment]]:
    statement = (
        select(Deployment, Environment)
        .join(Instance, Deployment.instance_id == Instance.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .where(Deployment.push_id == push_id)
        .order_by(Environment.slug)
    )
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]
