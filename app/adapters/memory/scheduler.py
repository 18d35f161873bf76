"""The Scheduler port over the simulated engine: for tests, benchmarks and trying things out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from app.adapters.memory.cluster import (
    Behaviour,
    Cluster,
    Copy,
    Pace,
    SimulatedJob,
    behaviour_by_command,
    memory_of,
)
from app.errors import Conflict
from app.ports.scheduler import (
    AllocationState,
    CopySummary,
    CopyUsage,
    CopyWatch,
    JobPlan,
    JobRef,
    JobSummary,
    Observation,
    Output,
    OutputChunk,
    OutputGone,
    SchedulerRejected,
    SchedulerUnavailable,
)
from jobs import Capabilities
from jobs.render import Job


class MemoryScheduler:
    """``down`` makes every call fail as if the engine were unreachable; ``refuses`` makes ``submit``
    answer that it will never take a job. ``submitted`` lists the release ids in order; ``follows`` counts the streams of output opened."""

    def __init__(
        self,
        *,
        memory_mb: int = 64_000,
        images: bool = True,
        startup_seconds: float = 0.0,
        backoff_seconds: float = 0.0,
        deadline_seconds: float = 30.0,
        behaves: Callable[[Job], Behaviour] = behaviour_by_command,
    ) -> None:
        pace = Pace(startup=startup_seconds, backoff=backoff_seconds, deadline=deadline_seconds)
        self.cluster = Cluster(memory_mb=memory_mb, pace=pace, behaves=behaves)
        self.namespaces: set[str] = set()
        self.submitted: list[str] = []
        self.follows = 0
        self.down = False
        self.refuses = ""
        self._capabilities = Capabilities(engine="memory", images=images)

    async def capabilities(self) -> Capabilities:
        self._answer()
        return self._capabilities

    async def ensure_namespace(self, namespace: str) -> None:
        self._answer()
        self.namespaces.add(namespace)

    async def delete_namespace(self, namespace: str) -> None:
        self._answer()
        if any(ref.namespace == namespace for ref in self.cluster.jobs):
            raise Conflict(f"The namespace {namespace} still holds jobs.")
        self.namespaces.discard(namespace)

    async def put_secrets(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        self._answer()
        held = self.cluster.secrets.setdefault((ref, path), dict(values))
        if held != dict(values):
            raise Conflict(f"{ref}: the variables at {path} exist with other values.")

    async def list_secrets(self, ref: JobRef) -> Sequence[str]:
        self._answer()
        return [path for owner, path in self.cluster.secrets if owner == ref]

    async def delete_secrets(self, ref: JobRef, path: str) -> None:
        self._answer()
        self.cluster.secrets.pop((ref, path), None)

    async def plan(self, job: Job) -> JobPlan:
        self._answer()
        held = self.cluster.jobs.get(_ref(job))
        changes = _changes(None if held is None or held.stopped else held.spec, job)
        needed = memory_of(job) * int(job["TaskGroups"][0]["Count"])
        free = self.cluster.free_mb()
        if changes and needed > free:
            reason = f"memory: {needed} MB are needed, {free} MB are free"
            return JobPlan(changes, fits=False, reasons=[reason])
        return JobPlan(changes, fits=True)

    async def submit(self, job: Job, *, expected_index: int) -> int:
        self._answer()
        ref = _ref(job)
        if self.refuses or ref.namespace not in self.namespaces:
            raise SchedulerRejected(self.refuses or f"There is no namespace {ref.namespace}.")
        index = self.cluster.register(ref, job, expected_index)
        self.submitted.append(str(job["Meta"]["release"]))
        return index

    async def observe(self, ref: JobRef) -> Observation:
        self._answer()
        job = self.cluster.jobs.get(ref)
        cursor = self.cluster.cursor(ref)
        if job is None:
            return Observation(ref, cursor=cursor)
        return Observation(
            ref=ref,
            modify_index=job.modify_index,
            stopped=job.stopped,
            release_id=job.release_id,
            rollout=job.rollout,
            allocations=tuple(copy.allocation for copy in job.copies),
            unplaceable=tuple(job.unplaceable),
            cursor=cursor,
        )

    async def watch(self, ref: JobRef, cursor: str, *, timeout: float) -> Observation:
        self._answer()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.cluster.changed_since(ref, cursor)
        return await self.observe(ref)

    async def stop(self, ref: JobRef, *, purge: bool) -> None:
        self._answer()
        self.cluster.stop(ref, purge=purge)

    async def list_jobs(self) -> Sequence[JobSummary]:
        self._answer()
        return [_summary(job) for job in self.cluster.jobs.values()]

    async def log_tail(self, ref: JobRef, allocation_id: str, *, lines: int) -> Sequence[str]:
        self._answer()
        copy = self._copy(ref, allocation_id)
        return [] if copy is None else copy.output.decode(errors="replace").splitlines()[-lines:]

    async def list_copies(self, ref: JobRef) -> Sequence[CopySummary]:
        self._answer()
        job = self.cluster.jobs.get(ref)
        return [
            CopySummary(ref, copy.allocation.id, copy.allocation.release_id, not copy.alive)
            for copy in (job.copies if job is not None else ())
        ]

    async def usage(self) -> Sequence[CopyUsage]:
        self._answer()
        return [
            CopyUsage(ref, copy.allocation.id, 100, copy.memory_mb << 19)
            for ref, job in self.cluster.jobs.items()
            for copy in job.copies
            if copy.allocation.state is AllocationState.RUNNING
        ]

    async def watch_copies(self, cursor: str, *, timeout: float) -> CopyWatch:
        self._answer()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while cursor == self.cluster.copies_cursor():
                    await self.cluster.anything_changed()
        self._answer()
        copies = {
            (job.ref, copy.allocation.id): copy
            for job in self.cluster.jobs.values()
            for copy in job.copies
        }
        return CopyWatch(
            {key: not copy.alive for key, copy in copies.items()},
            self.cluster.copies_cursor(),
            {key: repr(copy.allocation) for key, copy in copies.items()},
        )

    async def follow_output(
        self, ref: JobRef, allocation_id: str, positions: Mapping[Output, str], *, follow: bool
    ) -> AsyncGenerator[OutputChunk, None]:
        """Everything is written to stdout; positions are offsets in bytes."""
        self._answer()
        self.follows += 1
        at = int(positions.get(Output.STDOUT) or 0)
        copy = self._copy(ref, allocation_id)
        if copy is None:
            raise OutputGone(f"There is no copy {allocation_id}.")
        while True:
            self._answer()
            changed = copy.written
            begin = max(at, copy.dropped)
            data = copy.output[begin - copy.dropped :]
            if data:
                lost, missing = begin > at, begin - at
                at = begin + len(data)
                yield OutputChunk(
                    Output.STDOUT, bytes(data), str(at), lost, missing if lost else None
                )
            elif not follow or not copy.alive:
                return
            else:
                await changed.wait()

    def _copy(self, ref: JobRef, allocation_id: str) -> Copy | None:
        job = self.cluster.jobs.get(ref)
        copies = job.copies if job is not None else ()
        return next((copy for copy in copies if copy.allocation.id == allocation_id), None)

    async def close(self) -> None:
        self.cluster.close()

    def _answer(self) -> None:
        if self.down:
            raise SchedulerUnavailable("The simulated engine does not answer.")


def _ref(job: Job) -> JobRef:
    return JobRef(job["Namespace"], job["ID"])


def _summary(job: SimulatedJob) -> JobSummary:
    meta = job.spec["Meta"]
    return JobSummary(
        ref=job.ref,
        instance_id=meta["instance"],
        release_id=meta["release"],
        stopped=job.stopped,
        meta=dict(meta),
    )


def _changes(held: Job | None, wanted: Job) -> list[str]:
    if held is None:
        return [f"create the job {wanted['ID']}"]
    return [f"change {key}" for key in sorted(wanted) if held.get(key) != wanted[key]]
