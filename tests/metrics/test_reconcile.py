"""A period's use and requests are kept for each instance, and old ones go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from app.adapters.memory.scheduler import MemoryScheduler
from app.db import Database
from app.metrics.plan import Requests
from app.metrics.reconcile import MetricsReconciler, served
from app.models import MetricSample, Platform
from app.ports.scheduler import CopyUsage, JobRef
from app.reconcile.driver import Driver
from tests.factories import Placed, make_instance


class Counters:
    def __init__(self) -> None:
        self.counted: dict[str, dict[str, Requests]] = {}

    async def read(self) -> Mapping[str, Mapping[str, Requests]]:
        return {router: dict(services) for router, services in self.counted.items()}


class Busy(MemoryScheduler):
    """Two copies of one job, whichever jobs there are."""

    def __init__(self, ref: JobRef) -> None:
        super().__init__()
        self.ref = ref

    async def usage(self) -> list[CopyUsage]:
        return [CopyUsage(self.ref, name, 150, 1000) for name in ("a", "b")] + [
            CopyUsage(JobRef("stranger", "job"), "c", 1, 1)
        ]


def ref_of(placed: Placed) -> JobRef:
    job = f"{placed.project.slug}-{placed.app.slug}-{placed.environment.slug}"
    return JobRef(placed.organization.slug, job)


async def measure(database: Database, reconciler: MetricsReconciler) -> list[MetricSample]:
    """A period later."""
    async with database.write_transaction() as session:
        earlier = Platform.measured_at - timedelta(seconds=60)
        await session.execute(update(Platform).values(measured_at=earlier))
    await Driver(database, [reconciler]).run_until_idle()
    async with database.read_session() as session:
        return list(await session.scalars(select(MetricSample).order_by(MetricSample.at)))


async def test_use_and_requests_of_a_period_are_kept(database: Database) -> None:
    placed = await make_instance(database)
    ref = ref_of(placed)
    service = f"{ref.namespace}--{ref.id}"
    counters = Counters()
    reconciler = MetricsReconciler(
        database, Busy(ref), counters, period_seconds=60, keep=timedelta(hours=1)
    )
    counters.counted = {"one": {service: Requests(1000, 10)}}
    first = await measure(database, reconciler)
    assert [(row.copies, row.cpu_millis, row.memory_bytes, row.requests) for row in first] == [
        (2, 300, 2000, 0)
    ]
    counters.counted = {
        "one": {service: Requests(1007, 12), "new": Requests(3)},
        "two": {service: Requests(50)},
    }
    second = (await measure(database, reconciler))[-1]
    assert (second.instance_id, second.requests, second.errors) == (placed.instance.id, 7, 2)


async def count(database: Database) -> int:
    async with database.read_session() as session:
        statement = select(func.count()).select_from(MetricSample)
        return (await session.execute(statement)).scalar_one()


def test_a_service_that_is_new_to_a_known_router_counts_from_its_beginning() -> None:
    before = {"one": {"old": Requests(5)}}
    now = {"one": {"old": Requests(5), "new": Requests(3)}, "two": {"old": Requests(9)}}
    assert {name: got.total for name, got in served(before, now).items()} == {"old": 0, "new": 3}


async def test_what_is_older_than_is_kept_goes(database: Database) -> None:
    placed = await make_instance(database)
    old = datetime.now(UTC) - timedelta(hours=2)
    async with database.write_transaction() as session:
        session.add(
            MetricSample(
                instance_id=placed.instance.id,
                at=old,
                copies=1,
                cpu_millis=1,
                memory_bytes=1,
                requests=0,
                errors=0,
                latencies=[],
            )
        )
    reconciler = MetricsReconciler(
        database, Busy(ref_of(placed)), Counters(), period_seconds=60, keep=timedelta(hours=1)
    )
    rows = await measure(database, reconciler)
    assert [row.copies for row in rows] == [2]


async def test_of_two_workers_one_measures_and_nothing_is_counted_twice(
    database: Database,
) -> None:
    placed = await make_instance(database)
    ref = ref_of(placed)
    service = f"{ref.namespace}--{ref.id}"
    counters = Counters()
    first, second = (
        MetricsReconciler(database, Busy(ref), counters, period_seconds=60, keep=timedelta(hours=1))
        for _ in range(2)
    )
    for total, worker in ((100, first), (110, second), (125, first), (150, first)):
        counters.counted = {"one": {service: Requests(total)}}
        rows = await measure(database, worker)
    assert [row.requests for row in rows] == [0, 0, 0, 25]
    await Driver(database, [second]).run_until_idle()
    assert await count(database) == 4
