"""Commit statuses: the host is told what a deployment's row says, whenever it was last told something else.

Level-triggered: no message is queued, so that none is lost, and a host that was down is told how things
are and not how they were.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.find import Place, place_of
from app.crypto import SecretBox
from app.db import Database
from app.errors import ExternalFailure
from app.faults import checkpoint
from app.models import CommitStatus, Deployment, DeploymentStatus, Instance, Remote
from app.ports.commit_status import CommitStatuses, Report, Repository, State
from app.reconcile.lease import HeldLease
from app.remotes.service import open_token
from app.settings import Settings

logger = logging.getLogger(__name__)

STEPS = ("status.sent", "status.recorded")
PAUSES = (5, 30, 300, 1800, 7200)
"""Seconds after the first attempt that failed, the second …; after the last, nothing more is said."""
_STATES = {
    DeploymentStatus.SUCCEEDED: State.SUCCESS,
    DeploymentStatus.FAILED: State.FAILURE,
    DeploymentStatus.CANCELED: State.ERROR,
    DeploymentStatus.SUPERSEDED: State.ERROR,
}
_RECENT = timedelta(days=1)


class CommitStatusReconciler:
    """Kind ``"commit-status"``, key: the deployment's id. ``"deployment"`` wakes are not waited for."""

    kind = "commit-status"
    period = 2.0
    concurrency = 4

    def __init__(
        self, database: Database, box: SecretBox, statuses: CommitStatuses, settings: Settings
    ) -> None:
        self._database = database
        self._box = box
        self._statuses = statuses
        self._settings = settings

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await _untold(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            found = await _deployment(session, key)
            if found is None:
                return
            deployment, remote, instance = found
            place = await place_of(session, instance)
            told = await session.get(CommitStatus, key)
        report = report_of(deployment, place, self._settings.app_url(instance.hostname))
        if told is not None and told.sent == report.state:
            return
        lease.check()
        error = await self._send(remote, report)
        checkpoint("status.sent")
        await self._record(key, report, error, lease)
        checkpoint("status.recorded")

    async def _send(self, remote: Remote, report: Report) -> str | None:
        """Why it was not taken; None when it was."""
        repository = Repository(remote.host, remote.url, open_token(self._box, remote))
        try:
            await self._statuses.report(repository, report)
        except ExternalFailure as error:
            logger.info("commit status of %s: %s", report.commit_sha[:12], error.message)
            return error.message
        return None

    async def _record(
        self, deployment_id: str, report: Report, error: str | None, lease: HeldLease
    ) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            row = await session.get(CommitStatus, deployment_id, with_for_update=True)
            if row is None:
                row = CommitStatus(deployment_id=deployment_id, attempts=0)
                session.add(row)
            row.error = error
            if error is None:
                row.sent, row.attempts, row.next_attempt_at = report.state.value, 0, None
                return
            row.attempts += 1
            pause = PAUSES[min(row.attempts, len(PAUSES)) - 1]
            row.next_attempt_at = datetime.now(UTC) + timedelta(seconds=pause)


def report_of(deployment: Deployment, place: Place, url: str) -> Report:
    """Pure. ``context`` names app and environment: one commit may be deployed to several."""
    assert place.app is not None
    assert place.environment is not None
    state = _STATES.get(deployment.status, State.PENDING)
    words = {
        State.PENDING: f"Deployment #{deployment.number} is under way.",
        State.SUCCESS: f"Deployment #{deployment.number} is live.",
        State.FAILURE: f"Deployment #{deployment.number} failed: {deployment.failure_message}",
        State.ERROR: f"Deployment #{deployment.number} was {deployment.status.value}.",
    }
    context = f"paas/{place.project.slug}/{place.app.slug}/{place.environment.slug}"
    return Report(deployment.commit_sha or "", state, context, words[state], url)


def _state_in_sql() -> ColumnElement[str]:
    return case(
        {status.value: state.value for status, state in _STATES.items()},
        value=Deployment.status,
        else_=State.PENDING.value,
    )


async def _untold(session: AsyncSession) -> Sequence[str]:
    due = or_(
        CommitStatus.next_attempt_at.is_(None),
        and_(
            CommitStatus.next_attempt_at <= func.clock_timestamp(),
            CommitStatus.attempts <= len(PAUSES),
        ),
    )
    statement = (
        select(Deployment.id)
        .join(Instance, Deployment.instance_id == Instance.id)
        .join(Remote, Remote.app_id == Instance.app_id)
        .outerjoin(CommitStatus, CommitStatus.deployment_id == Deployment.id)
        .where(
            Remote.report_statuses,
            Deployment.commit_sha.is_not(None),
            Deployment.created_at > Remote.created_at,
            Deployment.created_at > func.clock_timestamp() - _RECENT,
            CommitStatus.sent.is_distinct_from(_state_in_sql()),
            due,
        )
        .order_by(Deployment.id)
    )
    return (await session.scalars(statement)).all()


async def _deployment(
    session: AsyncSession, deployment_id: str
) -> tuple[Deployment, Remote, Instance] | None:
    statement = (
        select(Deployment, Remote, Instance)
        .join(Instance, Deployment.instance_id == Instance.id)
        .join(Remote, Remote.app_id == Instance.app_id)
        .where(Deployment.id == deployment_id, Remote.report_statuses)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])
