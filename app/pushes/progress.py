"""Following the deployments of a push from the database's state, for whoever pushed.

Nothing here drives a deployment: if the client leaves, or this process dies, they go on. Wake-ups make
the lines come at once; a slow poll makes up for a lost one. git's own keep-alive packets hold the
connection open meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import asyncpg
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.builds.log import PROGRESS
from app.db import Database
from app.deployments.queries import steps as deployment_steps
from app.models import (
    Build,
    BuildLogLine,
    Deployment,
    DeploymentPhase,
    DeploymentStep,
    Environment,
    Instance,
    StepStatus,
)
from app.ports.repositories import PushClient
from app.pushes.screen import DETAIL, PROBLEM, STEP, DeploymentView, Screen, StepView
from app.reconcile.wake import WakeListener

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""What any use of the database may raise while it is gone: SQLAlchemy passes some through unwrapped."""
POLL_SECONDS = 1.0
_LOG_LINES_AT_ONCE = 500
_DATABASE_MAY_BE_GONE_SECONDS = 120.0


async def follow(
    database: Database,
    wakes: WakeListener,
    push_ids: Sequence[str],
    client: PushClient,
    *,
    ingress_port: int,
    unseen: bool,
) -> None:
    """Show what happens until every deployment has ended; ``unseen``: also when the client is gone."""
    follower = Follower(database, push_ids, ingress_port)
    failing_since: float | None = None
    clock = asyncio.get_running_loop().time
    with follower.woken_by(wakes) as woken:
        while True:
            woken.clear()
            try:
                lines, ended = await follower.look()
                failing_since = None
            except DATABASE_ERRORS as error:
                lines, ended = [], False
                if failing_since is None:
                    failing_since = clock()
                    logger.warning("progress of a push: the database does not answer: %s", error)
                    lines = [f"{PROBLEM}The platform's database does not answer; waiting for it."]
                elif clock() - failing_since > _DATABASE_MAY_BE_GONE_SECONDS:
                    raise
            for line in lines:
                await client.say(line)
            if ended or (client.gone.is_set() and not unseen):
                return
            await _first_of(woken, client.gone, timeout=POLL_SECONDS)


async def _first_of(woken: asyncio.Event, gone: asyncio.Event, *, timeout: float) -> None:
    waits = [asyncio.ensure_future(woken.wait())]
    if not gone.is_set():
        waits.append(asyncio.ensure_future(gone.wait()))
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def list_queued(database: Database, push_ids: Sequence[str], client: PushClient) -> None:
    """For ``-o no-wait``: what was queued, and no more."""
    async with database.read_session() as session:
        views = await _views(session, push_ids, ingress_port=80)
    for view in views:
        await client.say(f"{STEP}Queued deployment #{view.number} to {view.environment}")
    await client.say(f"{DETAIL}Not waiting for it, as asked.")


class Follower:
    """Reads what is new since the last look."""

    def __init__(self, database: Database, push_ids: Sequence[str], ingress_port: int) -> None:
        self._database = database
        self._push_ids = push_ids
        self._ingress_port = ingress_port
        self._screen = Screen()
        self._log_positions: dict[str, int] = {}
        self._keys: set[tuple[str, str]] = set()

    @contextlib.contextmanager
    def woken_by(self, wakes: WakeListener) -> Iterator[asyncio.Event]:
        woken = asyncio.Event()

        def heard(kind: str | None, key: str | None) -> None:
            if kind is None or (kind, key) in self._keys:
                woken.set()

        with wakes.hearing(heard):
            yield woken

    async def look(self) -> tuple[list[str], bool]:
        """New lines, and whether every deployment has ended.

        The deployments are read before the log, so that one that has ended has its whole log shown.
        """
        async with self._database.read_session() as session:
            views = await _views(session, self._push_ids, ingress_port=self._ingress_port)
            builds = sorted({view.build_id for view in views if view.build_id is not None})
            self._keys = {("deployment", view.id) for view in views}
            self._keys |= {(PROGRESS, build_id) for build_id in builds}
            lines = self._screen.opening(views)
            for build_id in builds:
                if not self._screen.shows_log(views, build_id):
                    continue
                while texts := await self._new_log_lines(session, build_id):
                    lines += self._screen.log(views, build_id, texts)
        lines += self._screen.standing(views)
        return lines, all(view.ended for view in views)

    async def _new_log_lines(self, session: AsyncSession, build_id: str) -> Sequence[str]:
        statement = (
            select(BuildLogLine.number, BuildLogLine.text)
            .where(
                BuildLogLine.build_id == build_id,
                BuildLogLine.number > self._log_positions.get(build_id, -1),
            )
            .order_by(BuildLogLine.number)
            .limit(_LOG_LINES_AT_ONCE)
        )
        found = (await session.execute(statement)).all()
        if found:
            self._log_positions[build_id] = found[-1].number
        return [row.text for row in found]


async def _views(
    session: AsyncSession, push_ids: Sequence[str], *, ingress_port: int
) -> list[DeploymentView]:
    newer = aliased(Deployment)
    statement = (
        select(Deployment, Environment.slug, Instance.hostname, newer.number, Build.finished_at)
        .join(Instance, Deployment.instance_id == Instance.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .outerjoin(newer, Deployment.superseded_by_id == newer.id)
        .outerjoin(Build, Deployment.build_id == Build.id)
        .where(Deployment.push_id.in_(push_ids))
        .order_by(Environment.slug, Deployment.number)
    )
    rows = (await session.execute(statement)).all()
    steps = await deployment_steps(session, [row[0].id for row in rows])
    return [
        _view(deployment, slug, _url(host, ingress_port), by, built_at, steps[deployment.id])
        for deployment, slug, host, by, built_at in rows
    ]


def _view(
    row: Deployment,
    environment: str,
    url: str,
    superseded_by: int | None,
    built_at: datetime | None,
    steps: Sequence[DeploymentStep],
) -> DeploymentView:
    return DeploymentView(
        id=row.id,
        number=row.number,
        environment=environment,
        url=url,
        commit=row.commit_sha or "",
        status=row.status,
        desired=row.desired_replicas,
        healthy=row.healthy_replicas,
        build_id=row.build_id,
        built_before=built_at.astimezone(UTC) if built_at and _never_waited(steps) else None,
        superseded_by=superseded_by,
        failure_message=row.failure_message,
        failure_hint=row.failure_hint,
        failure_log=[str(line) for line in row.failure_log_tail],
        steps=[StepView(step.phase, step.status, step.message) for step in steps],
    )


def _never_waited(steps: Sequence[DeploymentStep]) -> bool:
    """Whether its build was there when it asked; one that is cancelled while it waits has a start."""
    return any(
        step.phase is DeploymentPhase.BUILD
        and step.status is StepStatus.SKIPPED
        and step.started_at is None
        for step in steps
    )


def _url(hostname: str, port: int) -> str:
    return f"http://{hostname}" + ("" if port == 80 else f":{port}")
