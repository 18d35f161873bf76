"""What must hold whatever died: the invariants of the design, as checks on rows and the engine."""

from __future__ import annotations

from sqlalchemy import func, select

from app.drift.reconcile import Drift, DriftReconciler
from app.models import TERMINAL_STATUSES, Deployment, Instance, Lease, Push, Release
from app.ports.scheduler import AllocationState
from tests.deployments.stage import Stage, ref_of
from tests.factories import Placed

_ALIVE = {AllocationState.PENDING, AllocationState.RUNNING, AllocationState.UNHEALTHY}


async def check(stage: Stage, placed: Placed) -> None:
    await _every_push_has_one_deployment_and_each_has_ended(stage, placed)
    await _what_runs_is_what_should(stage, placed)
    await _nothing_is_left_over(stage, placed)


async def _every_push_has_one_deployment_and_each_has_ended(stage: Stage, placed: Placed) -> None:
    async with stage.database.read_session() as session:
        instance = await session.get(Instance, placed.instance.id)
        counted = select(Push.id, func.count(Deployment.id)).outerjoin(
            Deployment, Deployment.push_id == Push.id
        )
        counts = (await session.execute(counted.group_by(Push.id))).all()
        deployments = (await session.scalars(select(Deployment))).all()
    if instance is None:
        assert deployments == []
    else:
        assert {row[1] for row in counts} == {1}
    assert {d.status for d in deployments} <= TERMINAL_STATUSES
    assert all(d.finished_at is not None for d in deployments)


async def _what_runs_is_what_should(stage: Stage, placed: Placed) -> None:
    async with stage.database.read_session() as session:
        instance = await session.get(Instance, placed.instance.id)
    seen = await stage.scheduler.observe(ref_of(placed))
    alive = {a.release_id for a in seen.allocations if a.state in _ALIVE}
    current = instance.current_release_id if instance is not None else None
    assert alive == ({current} if current else set())
    assert seen.release_id == (current or "")
    if current:
        assert await stage.ingress.serves(placed.instance.hostname, current)


async def _nothing_is_left_over(stage: Stage, placed: Placed) -> None:
    drift = DriftReconciler(stage.database, stage.scheduler, stage.ingress)
    assert await drift.look() == Drift((), (), ())
    async with stage.database.read_session() as session:
        leases = (await session.scalars(select(Lease.key))).all()
        succeeded = (
            select(Release.number)
            .join(Deployment, Deployment.release_id == Release.id)
            .where(Deployment.instance_id == placed.instance.id, Deployment.status == "succeeded")
            .order_by(Deployment.number.desc())
            .limit(2)
        )
        numbers = (await session.scalars(succeeded)).all()
    assert leases == []
    held = {int(path.rpartition("-r")[2]) for path in stage.secrets_of(placed)}
    assert held <= set(numbers)
