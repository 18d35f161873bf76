"""Telling what happened, in the transaction that made it happen.

An event is what a person would want to be told: a deployment was queued or has ended, a container crashed,
the scale changed. It is told at commit or never, and ``("events", instance or organization id)`` is woken
then. Subscriptions, webhooks and the instance's page read the same rows (``app.events.queries``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import WriteSession
from app.models import App, Deployment, Event, EventKind, Instance, Project

WAKE = "events"
"""The kind of the wake; its keys are the instance's and the organization's id."""


@dataclass(frozen=True)
class Subject:
    """What an event is about, with everything above it."""

    organization_id: str
    project_id: str | None = None
    environment_id: str | None = None
    app_id: str | None = None
    instance_id: str | None = None
    deployment_id: str | None = None


async def of_instance(session: AsyncSession, instance_id: str) -> Subject | None:
    """None when it is gone, or going: nobody may see it any more."""
    statement = (
        select(Project.organization_id, Project.id, Instance.environment_id, App.id)
        .select_from(Instance)
        .join(App, Instance.app_id == App.id)
        .join(Project, App.project_id == Project.id)
        .where(Instance.id == instance_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Subject(row[0], row[1], row[2], row[3], instance_id)


async def tell(
    session: WriteSession,
    kind: EventKind,
    subject: Subject,
    payload: Mapping[str, Any],
    *,
    user_id: str | None = None,
) -> None:
    """``payload`` is JSON with names like ``commitSha``, and holds nothing that a viewer of the object may not see."""
    session.add_last(
        Event(
            kind=kind,
            organization_id=subject.organization_id,
            project_id=subject.project_id,
            environment_id=subject.environment_id,
            app_id=subject.app_id,
            instance_id=subject.instance_id,
            deployment_id=subject.deployment_id,
            user_id=user_id,
            payload=dict(payload),
        )
    )
    await session.wake(WAKE, subject.organization_id)
    if subject.instance_id is not None:
        await session.wake(WAKE, subject.instance_id)


async def tell_of_instance(
    session: WriteSession,
    kind: EventKind,
    instance_id: str,
    payload: Mapping[str, Any],
    *,
    deployment_id: str | None = None,
    user_id: str | None = None,
) -> None:
    """``tell``, with what stands above the instance looked up."""
    above = await of_instance(session, instance_id)
    if above is None:
        return
    subject = replace(above, deployment_id=deployment_id)
    await tell(session, kind, subject, payload, user_id=user_id)


async def tell_of_deployment(
    session: WriteSession, kind: EventKind, row: Deployment, payload: Mapping[str, Any]
) -> None:
    """``tell``, with what every event of a deployment says."""
    said = {"number": row.number, "commitSha": row.commit_sha, **payload}
    await tell_of_instance(
        session, kind, row.instance_id, said, deployment_id=row.id, user_id=row.user_id
    )
