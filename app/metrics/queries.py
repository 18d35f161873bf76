"""Every SELECT of metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.errors import LimitReached
from app.metrics.plan import Requests, Sample
from app.models import (
    TERMINAL_STATUSES,
    App,
    Build,
    BuildStatus,
    Deployment,
    Environment,
    Instance,
    MetricSample,
    Organization,
    Platform,
    Project,
    Push,
    PushStatus,
    ReconcilerStatus,
)

MAX_SAMPLES = 100_000
"""That one request may read."""


async def last_measured(session: AsyncSession) -> tuple[float | None, str | None]:
    """How many seconds ago some worker last measured, and which; None when none ever has."""
    ago = func.extract("epoch", func.clock_timestamp() - Platform.measured_at)
    seconds, by = (await session.execute(select(ago, Platform.measured_by))).one()
    return None if seconds is None else float(seconds), by


async def measured(session: AsyncSession, *, by: str) -> datetime:
    """Note that it is done; when, by the database's clock."""
    statement = (
        update(Platform)
        .values(measured_at=func.clock_timestamp(), measured_by=by)
        .returning(Platform.measured_at)
    )
    at = (await session.execute(statement)).scalar_one()
    assert at is not None
    return at


async def samples(
    session: AsyncSession, instance_ids: Sequence[str], between: tuple[datetime, datetime]
) -> Mapping[str, Sequence[Sample]]:
    """Of each instance those that end in the time, oldest first."""
    start, end = between
    statement = (
        select(
            MetricSample.instance_id,
            MetricSample.at,
            MetricSample.copies,
            MetricSample.cpu_millis,
            MetricSample.memory_bytes,
            MetricSample.requests,
            MetricSample.errors,
            MetricSample.latencies,
        )
        .where(MetricSample.instance_id.in_(instance_ids))
        .where(MetricSample.at >= start, MetricSample.at < end)
        .order_by(MetricSample.at)
        .limit(MAX_SAMPLES + 1)
    )
    found: dict[str, list[Sample]] = {identifier: [] for identifier in instance_ids}
    rows = (await session.execute(statement)).all()
    if len(rows) > MAX_SAMPLES:
        raise LimitReached(
            f"These graphs are made of more than {MAX_SAMPLES:,} measurements.",
            hint="Ask for a shorter time, or for fewer instances at once.",
        )
    for identifier, at, copies, cpu, memory, total, errors, latencies in rows:
        requests = Requests(total, errors, tuple(latencies))
        found[identifier].append(Sample(at, copies, cpu, memory, requests))
    return found


@dataclass(frozen=True)
class Latest:
    """The newest sample of an instance; ``place`` is organization, project, app and environment."""

    place: tuple[str, str, str, str]
    at: datetime
    copies: int
    cpu_millis: int
    memory_bytes: int
    requests: int
    errors: int


@dataclass(frozen=True)
class State:
    deployments: dict[str, int]
    builds: dict[str, int]
    pushes: int
    reconcilers: dict[str, dict[str, Any]]
    """By kind, the driver's detail, with ``finished_at`` in Unix seconds."""
    instances: Sequence[Latest]


async def state(session: AsyncSession) -> State:
    """What ``/metrics`` shows of the platform."""
    return State(
        deployments=await _by_status(session, Deployment.status, TERMINAL_STATUSES),
        builds=await _by_status(session, Build.status, ENDED_BUILDS),
        pushes=(
            await session.execute(
                select(func.count()).select_from(Push).where(Push.status == PushStatus.RECEIVED)
            )
        ).scalar_one(),
        reconcilers={
            row.name: {
                **row.detail,
                "finished_at": row.last_finished_at.timestamp() if row.last_finished_at else None,
            }
            for row in await session.scalars(select(ReconcilerStatus))
        },
        instances=await _latest(session),
    )


ENDED_BUILDS = (BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELED)


async def _by_status(
    session: AsyncSession, column: InstrumentedAttribute[Any], ended: Collection[Any]
) -> dict[str, int]:
    statement = select(column, func.count()).where(column.not_in(ended)).group_by(column)
    return {status.value: count for status, count in await session.execute(statement)}


async def _latest(session: AsyncSession) -> Sequence[Latest]:
    newest = (
        select(MetricSample)
        .where(MetricSample.instance_id == Instance.id)
        .order_by(MetricSample.at.desc())
        .limit(1)
        .lateral()
    )
    statement = (
        select(
            Organization.slug,
            Project.slug,
            App.slug,
            Environment.slug,
            newest.c.at,
            newest.c.copies,
            newest.c.cpu_millis,
            newest.c.memory_bytes,
            newest.c.requests,
            newest.c.errors,
        )
        .select_from(Instance)
        .join(newest, true())
        .join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
    )
    return [Latest(tuple(row[:4]), *row[4:]) for row in await session.execute(statement)]
