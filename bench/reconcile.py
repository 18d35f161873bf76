"""What it costs to look at every instance: one full pass, desired against observed.

2,000 instances with a running release each, on the simulated scheduler and a real Postgres. A pass is
what a worker does each period when it finds nothing wrong: ask for pending deployments, list the engine's
jobs and the router's services, read every instance, compare. Printed beside it: the same pass when one in twenty has vanished from the engine, with
everything that it takes to bring those back.

    make bench-reconcile
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import insert, update

from app.adapters.local.postgres import EmbeddedPostgres, server_user
from app.adapters.memory.ingress import MemoryIngress
from app.adapters.memory.scheduler import MemoryScheduler
from app.adapters.memory.slugs import MemorySlugStore
from app.builds.service import ensure
from app.crypto import SecretBox
from app.db import Database
from app.deployments.releases import seal_environment
from app.drift.reconcile import Drift, DriftReconciler
from app.ids import new_id
from app.migrate import migrate
from app.models import (
    App,
    Build,
    BuildKind,
    BuildStatus,
    Environment,
    Instance,
    Organization,
    Project,
    Release,
)
from app.ports.scheduler import JobRef
from app.reconcile.driver import Driver
from app.reconcile.wake import WakeListener
from app.rollouts import rendering
from app.rollouts.reconcile import InstanceReconciler
from app.rollouts.state import load

SIZES = (250, 500, 1000, 2000)
PASSES = 7
TARGET_SECONDS = 2.0
TARGET_LINEARITY = 1.5
"""Cost per instance at the largest size against the smallest: 1 is linear, 8 would be quadratic."""
APPS_IN_A_PROJECT = 50
RESULTS = Path(__file__).parent / "results"


class Bench:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.box = SecretBox([b"k" * 32])
        self.scheduler = MemoryScheduler(memory_mb=10**9)
        self.ingress = MemoryIngress(self.scheduler)
        self.slugs = MemorySlugStore()
        self.instances = InstanceReconciler(
            database,
            self.box,
            self.scheduler,
            self.ingress,
            self.slugs,
            ensure,
            rollout_seconds=60,
        )
        self.ids: list[str] = []
        self.refs: list[JobRef] = []

    async def grow(self, size: int) -> None:
        """Add projects of ``APPS_IN_A_PROJECT`` apps until there are ``size`` instances, all running."""
        organization_id = await self._organization()
        while len(self.ids) < size:
            added = await self._add_project(organization_id, len(self.ids) // APPS_IN_A_PROJECT)
            await self._start(added)
            self.ids += added

    async def _organization(self) -> str:
        async with self.database.write_transaction() as session:
            found = await session.get(Organization, "org_bench")
            if found is None:
                session.add(Organization(id="org_bench", slug="bench", display_name="Bench"))
        return "org_bench"

    async def _add_project(self, organization_id: str, number: int) -> list[str]:
        slug = f"p{number}"
        project, environment = new_id("prj"), new_id("env")
        apps = [new_id("app") for _ in range(APPS_IN_A_PROJECT)]
        instances = [new_id("ins") for _ in apps]
        releases = [
            self._release(instance, app) for instance, app in zip(instances, apps, strict=True)
        ]
        async with self.database.write_transaction() as session:
            session.add(
                Project(id=project, organization_id=organization_id, slug=slug, display_name=slug)
            )
            await session.flush()
            session.add(
                Environment(
                    id=environment,
                    project_id=project,
                    slug="production",
                    display_name="Production",
                    branch_pattern="main",
                    is_default=True,
                )
            )
            await session.flush()
            names = [f"a{n}" for n in range(len(apps))]
            await session.execute(
                insert(App),
                [
                    {"id": app, "project_id": project, "slug": name, "display_name": name}
                    for app, name in zip(apps, names, strict=True)
                ],
            )
            await session.execute(
                insert(Instance),
                [
                    {
                        "id": instance, "app_id": app, "environment_id": environment,
                        "hostname": f"bench.{slug}-{name}-production.apps.test",
                    }
                    for instance, app, name in zip(instances, apps, names, strict=True)
                ],
            )  # fmt: skip
            session.add_all([build for build, _ in releases])
            await session.flush()
            session.add_all([release for _, release in releases])
            await session.flush()
            await session.execute(
                update(Instance),
                [
                    {"id": instance, "current_release_id": release.id, "release_count": 1}
                    for instance, (_, release) in zip(instances, releases, strict=True)
                ],
            )
        return instances

    def _release(self, instance: str, app: str) -> tuple[Build, Release]:
        build = Build(
            id=new_id("bld"), app_id=app, commit_sha="c" * 40, inputs_digest="d", attempt=1,
            status=BuildStatus.SUCCEEDED, kind=BuildKind.SLUG, artifact="5" * 64,
            processes={"web": "python3 main.py"}, runtime={},
        )  # fmt: skip
        release = Release(
            id=new_id("rel"), instance_id=instance, number=1, build_id=build.id,
            replicas=1, cpu_millis=200, memory_mb=256, container_port=8080,
        )  # fmt: skip
        seal_environment(release, {"GREETING": "hello"}, frozenset(), self.box)
        return build, release

    async def _start(self, instances: list[str]) -> None:
        """Have the engine run them, as the reconciler would after a deployment."""
        capabilities = await self.scheduler.capabilities()
        await self.scheduler.ensure_namespace("bench")
        for instance in instances:
            async with self.database.read_session() as session:
                loaded = await load(session, instance)
            assert loaded is not None
            assert loaded.current is not None
            job = rendering.job_for(
                loaded, loaded.current, slugs=self.slugs, capabilities=capabilities
            )
            await self.scheduler.submit(job, expected_index=0)
            self.refs.append(loaded.state.ref)

    async def full_pass(self) -> None:
        """As a worker does it: look for work, take the lease, compare everything, write the status."""
        drift = DriftReconciler(self.database, self.scheduler, self.ingress)
        await Driver(self.database, [self.instances, drift]).run_until_idle()

    async def repair(self) -> None:
        """Everything that a worker does about drift, until nothing is left of it."""
        listener = WakeListener(self.database.url)
        await listener.start()
        await listener.listening()
        drift = DriftReconciler(self.database, self.scheduler, self.ingress)
        try:
            await Driver(self.database, [self.instances, drift], listener=listener).run_until_idle()
        finally:
            await listener.close()

    async def lose_one_in_twenty(self) -> int:
        lost = self.refs[::20]
        for ref in lost:
            await self.scheduler.stop(ref, purge=True)
        return len(lost)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def measure(bench: Bench) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {}
    for size in SIZES:
        await bench.grow(size)
        look = DriftReconciler(bench.database, bench.scheduler, bench.ingress).look
        assert await look() == Drift((), (), ()), "the world is not settled"
        samples[f"pass_{size}"] = [await timed(bench.full_pass) for _ in range(PASSES)]
    lost = await bench.lose_one_in_twenty()
    samples[f"repair_{lost}_of_{SIZES[-1]}"] = [await timed(bench.repair)]
    return samples


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    """A server of its own with default durability, gone afterwards."""
    from tests.conftest import free_port

    folder = Path(tempfile.mkdtemp(prefix="paas-bench-postgres-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder, free_port())
    process = await asyncio.to_thread(_start_server, server)
    try:
        connection = await _connect(server.url("postgres"))
        await connection.execute("CREATE DATABASE paas")
        await connection.close()
        await migrate(server.url())
        opened = Database(server.url())
        yield opened
        await opened.close()
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)
        shutil.rmtree(folder, ignore_errors=True)


def _start_server(server: EmbeddedPostgres) -> subprocess.Popen[bytes]:
    server.initialise()
    log = (server.folder / "out.log").open("wb")
    return subprocess.Popen(
        server.command(), user=server_user(), cwd="/", stdout=log, stderr=subprocess.STDOUT
    )


async def _connect(url: str) -> asyncpg.Connection:
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncpg.connect(url)
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.05)


def report(samples: dict[str, list[float]]) -> bool:
    """One line a figure; whether all of them hold."""
    medians = {name: statistics.median(values) for name, values in samples.items()}
    for size in SIZES[:-1]:
        print(f"reconcile.pass_{size} {medians[f'pass_{size}']:.3f}s -")
    for name, seconds in medians.items():
        if name.startswith("repair_"):
            print(f"reconcile.{name} {seconds:.3f}s -")
    smallest, largest = SIZES[0], SIZES[-1]
    whole = medians[f"pass_{largest}"]
    linearity = (whole / largest) / (medians[f"pass_{smallest}"] / smallest)
    holds = _line(f"reconcile.pass_{largest}", whole, TARGET_SECONDS, "s")
    return _line("reconcile.cost_per_instance_ratio", linearity, TARGET_LINEARITY, "") and holds


def _line(name: str, value: float, target: float, unit: str) -> bool:
    passed = value <= target
    print(f"{name} {value:.3f}{unit} <={target}{unit} {'PASS' if passed else 'FAIL'}")
    return passed


async def main() -> int:
    async with database() as opened:
        bench = Bench(opened)
        samples = await measure(bench)
        await bench.scheduler.close()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reconcile.json").write_text(json.dumps(samples, indent=1))
    return 0 if report(samples) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
