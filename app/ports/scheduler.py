"""What runs instances: Nomad, the embedded engine, or a fake. All are given the job that ``jobs`` renders.

One contract suite (``tests/contract/test_scheduler.py``) runs against each implementation.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.errors import Conflict, ExternalFailure
from jobs import Capabilities
from jobs.render import Job


class JobConflict(Conflict):
    """The job's modify index is not the expected one: someone else changed it; observe and plan again."""


class SchedulerUnavailable(ExternalFailure):
    """The engine did not answer. Temporary: observe again later."""


class SchedulerRejected(ExternalFailure):
    """The engine answered that it will never accept this job or this token. Permanent."""


@dataclass(frozen=True)
class JobRef:
    namespace: str
    id: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.id}"


class AllocationState(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    EXITED = "exited"
    LOST = "lost"


@dataclass(frozen=True)
class Allocation:
    """One copy of the app: a container, or a supervised process."""

    id: str
    name: str
    release_id: str
    state: AllocationState
    healthy: bool
    """Its check passes, so that the router may send it requests."""
    restarts: int = 0
    started_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    listening: bool | None = None
    """Whether anything accepts connections on its port; None when the engine cannot tell."""
    message: str = ""
    """The engine's last word about it, for a failure's explanation."""
    address: str = ""


class RolloutStatus(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Rollout:
    """How far the registered release has come. FAILED: the engine keeps or restores the previous one."""

    release_id: str
    status: RolloutStatus
    desired: int
    healthy: int
    message: str = ""


@dataclass(frozen=True)
class Observation:
    """What the engine says of one job now. ``modify_index`` is ``0`` when there is no such job."""

    ref: JobRef
    modify_index: int = 0
    stopped: bool = False
    release_id: str = ""
    rollout: Rollout | None = None
    allocations: Sequence[Allocation] = ()
    unplaceable: Sequence[str] = ()
    """Why copies find no room, in words, e.g. ``memory: no node has 64000 MB free``."""
    cursor: str = ""
    """Opaque: hand it to ``watch`` to wait for the next change."""


@dataclass(frozen=True)
class JobPlan:
    """A dry run: what would change, and whether it would find room."""

    changes: Sequence[str]
    fits: bool
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class JobSummary:
    ref: JobRef
    instance_id: str
    release_id: str
    stopped: bool
    meta: Mapping[str, str] = field(default_factory=dict)


class Output(enum.StrEnum):
    """What a copy writes to."""

    STDOUT = "stdout"
    STDERR = "stderr"


class OutputGone(Exception):
    """The engine knows nothing of this copy's output: it was removed, or never was."""


@dataclass(frozen=True)
class OutputChunk:
    """A piece of one stream, in order, whole or cut anywhere."""

    stream: Output
    data: bytes
    position: str
    """Opaque: of what comes after ``data``. Reading from there on neither repeats nor skips."""
    lost: bool = False
    """The engine has dropped what was before ``data``, from the position asked for on."""
    lost_bytes: int | None = None
    """How many, where the engine can tell."""


@dataclass(frozen=True)
class CopySummary:
    ref: JobRef
    id: str
    release_id: str
    ended: bool
    """It will never write again."""
    mark: str = ""
    """Opaque: another one once it has restarted, or its health has changed."""


@dataclass(frozen=True)
class CopyWatch:
    copies: Mapping[tuple[JobRef, str], bool]
    """Job and copy id, and whether it has ended."""
    cursor: str
    marks: Mapping[tuple[JobRef, str], str] = field(default_factory=dict)
    """``CopySummary.mark`` of each."""


@dataclass(frozen=True)
class CopyUsage:
    """What one running copy takes of its node."""

    ref: JobRef
    id: str
    cpu_millis: int
    """Thousandths of one CPU, on average since it was last asked for, or as the engine last measured."""
    memory_bytes: int


class Scheduler(Protocol):
    """Every method raises SchedulerUnavailable when the engine does not answer."""

    async def capabilities(self) -> Capabilities: ...

    async def ensure_namespace(self, namespace: str) -> None: ...

    async def delete_namespace(self, namespace: str) -> None:
        """Remove an empty namespace; absent is fine."""
        ...

    async def put_secrets(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        """Create the release's immutable variables; the same again is fine.

        Raises Conflict when the path holds other values.
        """
        ...

    async def list_secrets(self, ref: JobRef) -> Sequence[str]:
        """The paths held for this job."""
        ...

    async def delete_secrets(self, ref: JobRef, path: str) -> None:
        """Absent is fine."""
        ...

    async def plan(self, job: Job) -> JobPlan: ...

    async def submit(self, job: Job, *, expected_index: int) -> int:
        """Register; 0 expects that there is none. Returns the new modify index.

        Raises JobConflict when the index moved, SchedulerRejected when the job is refused.
        """
        ...

    async def observe(self, ref: JobRef) -> Observation: ...

    async def watch(self, ref: JobRef, cursor: str, *, timeout: float) -> Observation:
        """``observe``, but first wait until something changed since ``cursor``, or for ``timeout`` seconds."""
        ...

    async def stop(self, ref: JobRef, *, purge: bool) -> None:
        """Stop all copies, draining them; ``purge`` forgets the job too. Absent is fine."""
        ...

    async def list_jobs(self) -> Sequence[JobSummary]:
        """Every job of this platform (meta ``paas = "1"``), in all namespaces."""
        ...

    async def log_tail(self, ref: JobRef, allocation_id: str, *, lines: int) -> Sequence[str]:
        """The last lines of stdout and stderr; empty when the copy is gone."""
        ...

    async def list_copies(self, ref: JobRef) -> Sequence[CopySummary]:
        """A job's copies, the ended ones that are still known too, also those of a job that was removed."""
        ...

    async def watch_copies(self, cursor: str, *, timeout: float) -> CopyWatch:
        """Every copy of every job, once one came, changed, ended or went since ``cursor``, or after
        ``timeout`` seconds; at once for an empty cursor."""
        ...

    async def usage(self) -> Sequence[CopyUsage]:
        """Of every running copy of every job that the engine can measure now."""
        ...

    def follow_output(
        self, ref: JobRef, allocation_id: str, positions: Mapping[Output, str], *, follow: bool
    ) -> AsyncGenerator[OutputChunk, None]:
        """What a copy writes, from its beginning or each stream's position on; one upstream connection.

        ``follow``: wait for more. It may end by itself once the copy has; it may also just fall silent,
        which ``list_copies`` and ``observe`` tell. Without ``follow`` it ends with what is there now.
        Raises OutputGone.
        """
        ...

    async def close(self) -> None: ...
