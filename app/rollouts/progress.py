"""How a deployment's rows move on. Each change is shown to whoever watches, by a wake at commit.

All of these take a locked row within one transaction of the reconciler.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert

from app.db import Database, WriteSession
from app.events import service as events
from app.models import (
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    EventKind,
    StepStatus,
)
from app.reconcile.lease import HeldLease
from app.rollouts.failures import Failure

_ENDED_AS = {
    DeploymentStatus.SUCCEEDED: StepStatus.SUCCEEDED,
    DeploymentStatus.FAILED: StepStatus.FAILED,
}
_EVENTS = {
    DeploymentStatus.SUCCEEDED: EventKind.DEPLOYMENT_SUCCEEDED,
    DeploymentStatus.FAILED: EventKind.DEPLOYMENT_FAILED,
    DeploymentStatus.CANCELED: EventKind.DEPLOYMENT_CANCELED,
    DeploymentStatus.SUPERSEDED: EventKind.DEPLOYMENT_SUPERSEDED,
}
_SHOWN_CHARACTERS = 2000


@asynccontextmanager
async def changing(
    database: Database, lease: HeldLease, deployment_id: str
) -> AsyncIterator[tuple[WriteSession, Deployment]]:
    """A guarded transaction with the row locked, which tells watchers when it commits."""
    async with database.write_transaction() as session:
        await lease.guard(session)
        session.autoflush = (
            False  # one UPDATE of the row, at the end, instead of one for each statement
        )
        row = await session.get_one(Deployment, deployment_id, with_for_update=True)
        yield session, row
        await session.wake("deployment", deployment_id)


async def enter(
    session: WriteSession,
    row: Deployment,
    phase: DeploymentPhase,
    *,
    through: Mapping[DeploymentPhase, datetime] | None = None,
) -> None:
    """The phases before it have succeeded. Entering again keeps the time of the first.

    ``through``: phases that began then and are over already, having had no transaction of their own.
    """
    await _end_running(session, row, StepStatus.SUCCEEDED, None, except_phase=phase)
    entered = {
        "phase": phase,
        "status": StepStatus.RUNNING,
        "started_at": func.clock_timestamp(),
        "finished_at": None,
    }
    await _store(session, row, [*_over(through or {}), entered])
    row.phase = phase
    if row.started_at is None:
        row.started_at = func.clock_timestamp()


async def pass_through(
    session: WriteSession, row: Deployment, through: Mapping[DeploymentPhase, datetime]
) -> None:
    """These phases began then and are over; the row's last phase is the last of them."""
    await _store(session, row, _over(through))
    row.phase = list(through)[-1]


def _over(through: Mapping[DeploymentPhase, datetime]) -> list[dict[str, Any]]:
    return [
        {
            "phase": phase,
            "status": StepStatus.SUCCEEDED,
            "started_at": began,
            "finished_at": func.clock_timestamp(),
        }
        for phase, began in through.items()
    ]


async def _store(session: WriteSession, row: Deployment, steps: list[dict[str, Any]]) -> None:
    statement = insert(DeploymentStep).values([{"deployment_id": row.id, **step} for step in steps])
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["deployment_id", "phase"],
            set_={
                "status": statement.excluded.status,
                "finished_at": statement.excluded.finished_at,
            },
        )
    )


async def skip(
    session: WriteSession, row: Deployment, phase: DeploymentPhase, message: str
) -> None:
    """The phase is not needed; one that was entered stays as it is."""
    statement = insert(DeploymentStep).values(
        deployment_id=row.id, phase=phase, status=StepStatus.SKIPPED, message=message
    )
    await session.execute(statement.on_conflict_do_nothing())


async def note_failure(row: Deployment, failure: Failure, log_tail: list[str]) -> None:
    """Why it fails. It ends only once what ran before is back."""
    row.failure_code = failure.code
    row.failure_phase = failure.phase
    row.failure_message = failure.message[:_SHOWN_CHARACTERS]
    row.failure_hint = failure.hint[:_SHOWN_CHARACTERS]
    row.failure_log_tail = [line[:_SHOWN_CHARACTERS] for line in log_tail]


async def end(
    session: WriteSession,
    row: Deployment,
    status: DeploymentStatus,
    *,
    message: str | None = None,
    superseded_by_id: str | None = None,
) -> None:
    """Terminal, and told as an event. ``message`` says why, for one that was cancelled or superseded."""
    row.status = status
    row.finished_at = func.clock_timestamp()
    row.superseded_by_id = superseded_by_id
    if row.failure_message is None:
        row.failure_message = message
    ended_as = _ENDED_AS.get(status, StepStatus.SKIPPED)
    await _end_running(session, row, ended_as, message or row.failure_message)
    await events.tell_of_deployment(session, _EVENTS[status], row, _payload(row))


def _payload(row: Deployment) -> dict[str, Any]:
    if row.status is DeploymentStatus.FAILED:
        code = None if row.failure_code is None else row.failure_code.value
        return {"code": code, "message": row.failure_message}
    if row.status is DeploymentStatus.SUPERSEDED:
        return {"supersededById": row.superseded_by_id}
    return {}


async def _end_running(
    session: WriteSession,
    row: Deployment,
    status: StepStatus,
    message: str | None,
    *,
    except_phase: DeploymentPhase | None = None,
) -> None:
    statement = (
        update(DeploymentStep)
        .where(DeploymentStep.deployment_id == row.id, DeploymentStep.status == StepStatus.RUNNING)
        .values(status=status, finished_at=func.clock_timestamp(), message=message)
        .execution_options(synchronize_session=False)
    )
    if except_phase is not None:
        statement = statement.where(DeploymentStep.phase != except_phase)
    await session.execute(statement)
