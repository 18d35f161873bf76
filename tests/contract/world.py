"""What the contract suite needs of an engine's test set-up: a ``World``, one a module in ``worlds/``.

A world opens the engine once (``open_world`` is an async context manager) and hands out schedulers and
the artifact that holds ``sample_app/main.py``. To add an engine: write ``worlds/<name>.py`` with
``open_world(folder)``, and name it in ``conftest.WORLDS``.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.ids import new_id
from app.ports.ingress import Ingress
from app.ports.scheduler import Allocation, AllocationState, JobRef, Observation, Scheduler
from jobs import Artifact, Capabilities, JobInput, Scale, render
from jobs.render import Job, job_id_of, namespace_of, secrets_path_of

TOO_MUCH_MEMORY_MB = 8_000_000
"""More than any machine that this suite will run on has: 8 TB."""


class Behaviour(enum.StrEnum):
    """The argument of ``sample_app/main.py``."""

    HEALTHY = "healthy"
    CRASHES = "crashes"
    SILENT = "silent"
    HUNGRY = "hungry"
    CHATTY = "chatty"


@dataclass(frozen=True)
class World:
    """An engine, and how to make the sample app run on it."""

    scheduler: Scheduler
    capabilities: Capabilities
    ingress: Ingress
    """Over a router that serves what this scheduler runs."""
    artifact: Callable[[str], Artifact]
    """The sample app's artifact with the given shell command line as its web process."""
    kills_hungry: bool = True
    """Whether the engine enforces the memory limit."""
    gives_up_seconds: float = 30
    """Within how long the engine itself declares a crashing rollout failed."""


_numbers = itertools.count(1)


@dataclass(frozen=True)
class SampleJob:
    """One instance of the sample app, under a name that no other test uses."""

    world: World
    app: str = field(default_factory=lambda: f"app{next(_numbers)}{new_id('x')[-4:]}")
    organization: str = "contract"
    project: str = "suite"
    instance_id: str = field(default_factory=lambda: new_id("ins"))

    @property
    def ref(self) -> JobRef:
        return JobRef(
            namespace_of(self.organization), job_id_of(self.project, self.app, "production")
        )

    @property
    def hostname(self) -> str:
        return f"{self.organization}.{self.ref.id}.apps.test"

    @property
    def scheduler(self) -> Scheduler:
        return self.world.scheduler

    def release_id(self, number: int) -> str:
        return f"rel_{self.instance_id[-8:]}{number:04d}"

    def secrets_path(self, number: int) -> str:
        return secrets_path_of(self.ref.id, number)

    def job(
        self,
        number: int,
        behaviour: Behaviour = Behaviour.HEALTHY,
        *,
        replicas: int = 1,
        memory_mb: int = 64,
        images: Artifact | None = None,
    ) -> Job:
        """Release ``number`` as a job. Needs its secrets put before it is submitted."""
        job = JobInput(
            platform="plt_test",
            organization=self.organization,
            project=self.project,
            app=self.app,
            environment="production",
            instance_id=self.instance_id,
            release_id=self.release_id(number),
            release_number=number,
            commit_sha=f"{number:040x}",
            hostnames=(self.hostname,),
            container_port=8080,
            artifact=images or self.world.artifact(f"python3 -u main.py {behaviour.value}"),
            scale=Scale(replicas=replicas, cpu_millis=50, memory_mb=memory_mb),
            platform_env={"PAAS_RELEASE": str(number)},
        )
        return render(job, self.world.capabilities)

    async def submit(
        self,
        number: int,
        behaviour: Behaviour = Behaviour.HEALTHY,
        *,
        expected_index: int | None = None,
        replicas: int = 1,
        memory_mb: int = 64,
        secrets: dict[str, str] | None = None,
    ) -> int:
        """Put the secrets, then register, expecting what is there now unless told otherwise."""
        await self.scheduler.ensure_namespace(self.ref.namespace)
        await self.scheduler.put_secrets(self.ref, self.secrets_path(number), secrets or {})
        if expected_index is None:
            expected_index = (await self.scheduler.observe(self.ref)).modify_index
        job = self.job(number, behaviour, replicas=replicas, memory_mb=memory_mb)
        return await self.scheduler.submit(job, expected_index=expected_index)

    async def until(
        self,
        met: Callable[[Observation], bool],
        *,
        seconds: float = 60,
        always: Callable[[Observation], bool] | None = None,
    ) -> Observation:
        """Watch until ``met``; ``always`` must hold in each observation on the way."""
        deadline = time.monotonic() + seconds
        seen = await self.scheduler.observe(self.ref)
        while True:
            assert always is None or always(seen), f"no longer held: {seen}"
            if met(seen):
                return seen
            left = deadline - time.monotonic()
            assert left > 0, f"did not come within {seconds} s; last seen: {seen}"
            seen = await self.scheduler.watch(self.ref, seen.cursor, timeout=min(left, 5))

    def copies(self, seen: Observation, number: int) -> list[Allocation]:
        return [copy for copy in seen.allocations if copy.release_id == self.release_id(number)]

    def serving(self, seen: Observation, number: int) -> int:
        """How many copies of this release a router may send requests to."""
        return count(self.copies(seen, number), lambda copy: copy.healthy)


def count(copies: Iterable[Allocation], which: Callable[[Allocation], bool]) -> int:
    return sum(1 for copy in copies if which(copy))


def alive(copy: Allocation) -> bool:
    return copy.state in {
        AllocationState.PENDING,
        AllocationState.RUNNING,
        AllocationState.UNHEALTHY,
    }


def pack_sample_app(archive: Path) -> str:
    """The sample app as a slug (.tar.gz, shaped as a build's): its SHA-256."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(Path(__file__).parent / "sample_app", arcname=".")
    return hashlib.sha256(archive.read_bytes()).hexdigest()
