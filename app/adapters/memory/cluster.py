"""A simulated engine: jobs, their copies, and rollouts, as Nomad conducts them, in memory.

It keeps Nomad's rules that reconciling relies on: a modify index as the guard of a registration, new
copies beside the old ones, promotion once all of them are healthy, the last stable version put back when
they are not, and a copy that keeps dying given up after some restarts. Time is what the test says it is.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from app.ports.scheduler import (
    Allocation,
    AllocationState,
    JobConflict,
    JobRef,
    Rollout,
    RolloutStatus,
)
from jobs.render import Job, secrets_path_of

_DEAD_KEPT = 10
"""Dead copies that stay visible, so that a failure can be explained."""


class Behaviour(enum.StrEnum):
    """What the app of a release does once it is started."""

    HEALTHY = "healthy"
    CRASHES = "crashes"
    SILENT = "silent"
    HUNGRY = "hungry"
    CHATTY = "chatty"
    """Healthy, and writes a numbered line every few milliseconds."""


def behaviour_by_command(job: Job) -> Behaviour:
    """The last word of the command line, when it names a behaviour: ``python3 main.py crashes``."""
    arguments = job["TaskGroups"][0]["Tasks"][0]["Config"].get("args") or [""]
    words = str(arguments[-1]).split()
    known = {behaviour.value for behaviour in Behaviour}
    return Behaviour(words[-1]) if words and words[-1] in known else Behaviour.HEALTHY


@dataclass(frozen=True)
class Pace:
    """Seconds of the simulation."""

    startup: float = 0.0
    backoff: float = 0.0
    deadline: float = 30.0
    """After which a rollout that is not healthy fails."""
    restarts: int = 2


@dataclass
class Copy:
    allocation: Allocation
    memory_mb: int
    behaviour: Behaviour
    output: bytearray = field(default_factory=bytearray)
    dropped: int = 0
    """So many bytes before ``output`` were written, and are no longer there."""
    written: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, whenever it wrote or ended."""
    life: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self.allocation.state not in {AllocationState.EXITED, AllocationState.LOST}

    def write(self, text: str | bytes) -> None:
        self.output += text.encode() if isinstance(text, str) else text
        self.tell()

    def drop(self, size: int) -> None:
        """Forget so many of the oldest bytes, as an engine does that rotates its files."""
        del self.output[:size]
        self.dropped += size

    def tell(self) -> None:
        self.written.set()
        self.written = asyncio.Event()


@dataclass
class SimulatedJob:
    ref: JobRef
    spec: Job
    modify_index: int
    stable: Job | None = None
    stopped: bool = False
    rollout: Rollout | None = None
    unplaceable: list[str] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    deadline: asyncio.TimerHandle | None = None

    @property
    def release_id(self) -> str:
        return release_of(self.spec)

    def of(self, release_id: str) -> list[Copy]:
        return [
            copy for copy in self.copies if copy.alive and copy.allocation.release_id == release_id
        ]


def release_of(spec: Job) -> str:
    return str(spec["Meta"]["release"])


def _count(spec: Job) -> int:
    return int(spec["TaskGroups"][0]["Count"])


def memory_of(spec: Job) -> int:
    return int(spec["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"])


class Cluster:
    """One node with so much memory. Every change of a job moves its cursor and wakes its watchers."""

    def __init__(self, *, memory_mb: int, pace: Pace, behaves: Callable[[Job], Behaviour]) -> None:
        self.jobs: dict[JobRef, SimulatedJob] = {}
        self.secrets: dict[tuple[JobRef, str], dict[str, str]] = {}
        self._memory_mb = memory_mb
        self._pace = pace
        self._behaves = behaves
        self._index = 0
        self._number = 0
        self._changed: dict[JobRef, int] = {}
        self._watchers: dict[JobRef, asyncio.Event] = {}
        self._anything = asyncio.Event()

    # Cursors

    def cursor(self, ref: JobRef) -> str:
        return str(self._changed.get(ref, 0))

    async def changed_since(self, ref: JobRef, cursor: str) -> None:
        while self.cursor(ref) == cursor:
            await self._watchers.setdefault(ref, asyncio.Event()).wait()

    def copies_cursor(self) -> str:
        """Moves with every change of any job."""
        return f"{self._index}."

    async def anything_changed(self) -> None:
        await self._anything.wait()

    def _touch(self, ref: JobRef) -> None:
        self._anything.set()
        self._anything = asyncio.Event()
        self._changed[ref] = self._next()
        watchers = self._watchers.pop(ref, None)
        if watchers is not None:
            watchers.set()

    def _next(self) -> int:
        self._index += 1
        return self._index

    # What clients ask for

    def register(self, ref: JobRef, spec: Job, expected_index: int) -> int:
        job = self.jobs.get(ref)
        held = job.modify_index if job is not None else 0
        if held != expected_index:
            raise JobConflict(f"{ref}: the modify index is {held}, not {expected_index}.")
        if job is None:
            job = self.jobs[ref] = SimulatedJob(ref, spec, 0)
        elif job.spec == spec and not job.stopped:
            return job.modify_index
        job.spec, job.stopped, job.modify_index = spec, False, self._next()
        self._begin(job)
        return job.modify_index

    def stop(self, ref: JobRef, *, purge: bool) -> None:
        job = self.jobs.get(ref)
        if job is None:
            return
        self._end(job.copies)
        self._forget_deadline(job)
        if not job.stopped:
            job.stopped, job.modify_index = True, self._next()
        job.unplaceable = []
        if purge:
            del self.jobs[ref]
        self._touch(ref)
        self._fill_room()

    def free_mb(self) -> int:
        copies = (copy for job in self.jobs.values() for copy in job.copies if copy.alive)
        return self._memory_mb - sum(copy.memory_mb for copy in copies)

    def close(self) -> None:
        for job in self.jobs.values():
            self._end(job.copies)
            self._forget_deadline(job)

    # Rollouts

    def _begin(self, job: SimulatedJob) -> None:
        """Copies of the new release beside those of the stable one; all others go at once."""
        kept = {job.release_id, release_of(job.stable) if job.stable else ""}
        self._end(c for c in job.copies if c.allocation.release_id not in kept)
        job.rollout = Rollout(job.release_id, RolloutStatus.RUNNING, _count(job.spec), 0)
        self._forget_deadline(job)
        loop = asyncio.get_running_loop()
        job.deadline = loop.call_later(
            self._pace.deadline, self._expire, job, job.rollout.release_id
        )
        self._place(job)
        self._advance(job)

    def _place(self, job: SimulatedJob) -> None:
        job.unplaceable = []
        for _ in range(_count(job.spec) - len(job.of(job.release_id))):
            if memory_of(job.spec) > self.free_mb():
                job.unplaceable = [f"memory: no node has {memory_of(job.spec)} MB free"]
                return
            self._start_copy(job)

    def _fill_room(self) -> None:
        for job in [job for job in self.jobs.values() if job.unplaceable]:
            self._place(job)
            self._advance(job)

    def _advance(self, job: SimulatedJob) -> None:
        """Promote, give up, or go on waiting, by what the copies are now."""
        rollout = job.rollout
        if rollout is not None and rollout.status is RolloutStatus.RUNNING:
            fresh = job.of(rollout.release_id)
            healthy = sum(copy.allocation.healthy for copy in fresh)
            job.rollout = replace(rollout, healthy=healthy)
            if healthy >= rollout.desired:
                self._promote(job)
            elif self._gave_up(job, rollout.release_id):
                self._fail(job, "a copy kept failing")
        self._touch(job.ref)

    def _gave_up(self, job: SimulatedJob, release_id: str) -> bool:
        return any(
            copy.allocation.state is AllocationState.EXITED
            and copy.allocation.release_id == release_id
            and copy.allocation.restarts >= self._pace.restarts
            and copy.allocation.exit_code not in {None, 0}
            for copy in job.copies
        )

    def _promote(self, job: SimulatedJob) -> None:
        assert job.rollout is not None
        desired = job.rollout.desired
        job.rollout = replace(job.rollout, status=RolloutStatus.SUCCEEDED, healthy=desired)
        job.stable = job.spec
        fresh = job.of(job.release_id)
        self._end(copy for copy in job.copies if copy not in fresh[:desired])
        self._forget_deadline(job)
        self._fill_room()

    def _fail(self, job: SimulatedJob, why: str) -> None:
        assert job.rollout is not None
        failing = job.rollout.release_id
        job.rollout = replace(job.rollout, status=RolloutStatus.FAILED, message=why)
        job.unplaceable = []
        self._end(job.of(failing))
        self._forget_deadline(job)
        if job.stable is not None and release_of(job.stable) != failing:
            job.spec, job.modify_index = job.stable, self._next()

    def _expire(self, job: SimulatedJob, release_id: str) -> None:
        rollout = job.rollout
        if rollout and rollout.release_id == release_id and rollout.status is RolloutStatus.RUNNING:
            self._fail(job, "not healthy before the deadline")
            self._touch(job.ref)

    @staticmethod
    def _forget_deadline(job: SimulatedJob) -> None:
        if job.deadline is not None:
            job.deadline.cancel()
            job.deadline = None

    # Copies

    def _start_copy(self, job: SimulatedJob) -> None:
        self._number += 1
        spec = job.spec
        allocation = Allocation(
            id=f"copy-{self._number}",
            name=f"{job.ref.id}.web[{len(job.copies)}]",
            release_id=release_of(spec),
            state=AllocationState.PENDING,
            healthy=False,
            started_at=datetime.now(UTC),
            address=f"127.0.0.1:{20_000 + self._number % 40_000}",
        )
        copy = Copy(allocation, memory_of(spec), self._behaves(spec))
        job.copies = [c for c in job.copies if c.alive] + _last_dead(job.copies) + [copy]
        secrets = self.secrets.get((job.ref, _secrets_path(spec)), {})
        copy.write(f"starting {copy.behaviour} greeting={secrets.get('GREETING', '')}\n")
        copy.life = asyncio.create_task(self._live(job, copy))

    async def _live(self, job: SimulatedJob, copy: Copy) -> None:
        await asyncio.sleep(self._pace.startup)
        if copy.behaviour in {Behaviour.HEALTHY, Behaviour.CHATTY}:
            self._show(copy, state=AllocationState.RUNNING, healthy=True, listening=True)
        elif copy.behaviour is Behaviour.SILENT:
            self._show(copy, state=AllocationState.UNHEALTHY, listening=False)
        else:
            await self._keep_dying(job, copy)
        self._advance(job)
        if copy.behaviour is Behaviour.CHATTY:
            await self._chat(copy)

    @staticmethod
    async def _chat(copy: Copy) -> None:
        for number in itertools.count():
            copy.write(f"out {number}\n")
            await asyncio.sleep(0.005)

    async def _keep_dying(self, job: SimulatedJob, copy: Copy) -> None:
        hungry = copy.behaviour is Behaviour.HUNGRY
        if not hungry:
            copy.write("boom: no database\n")
        self._died(copy, code=137 if hungry else 3, oom=hungry)
        while copy.allocation.restarts < self._pace.restarts:
            self._show(copy, restarts=copy.allocation.restarts + 1)
            self._touch(job.ref)
            await asyncio.sleep(self._pace.backoff)
        self._show(copy, state=AllocationState.EXITED, message="exceeded its restarts")

    def _died(self, copy: Copy, *, code: int, oom: bool = False) -> None:
        copy.allocation = replace(
            copy.allocation,
            state=AllocationState.PENDING,
            healthy=False,
            listening=None,
            exit_code=code,
            oom_killed=oom,
        )

    def _show(self, copy: Copy, **changes: object) -> None:
        copy.allocation = replace(copy.allocation, **changes)  # type: ignore[arg-type]
        if not copy.alive:
            copy.tell()

    def _end(self, copies: Iterable[Copy]) -> None:
        for copy in list(copies):
            if copy.life is not None:
                copy.life.cancel()
            if copy.alive:
                self._show(copy, state=AllocationState.EXITED, healthy=False)


def _last_dead(copies: list[Copy]) -> list[Copy]:
    return [copy for copy in copies if not copy.alive][-_DEAD_KEPT:]


def _secrets_path(spec: Job) -> str:
    return secrets_path_of(spec["ID"], int(spec["Meta"]["release_number"]))
