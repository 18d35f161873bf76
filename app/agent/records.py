"""What the engine keeps on disk of a job and of a copy. Everything else is found out again at start."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class RolloutRecord(msgspec.Struct, kw_only=True):
    """How far the registered document has come."""

    release_id: str
    status: str = "running"
    desired: int = 0
    message: str = ""
    deadline: float = 0.0
    """Unix time at which it fails for want of progress; 0 until its first copy was started."""


class JobRecord(msgspec.Struct, kw_only=True):
    namespace: str
    id: str
    modify_index: int
    document: dict[str, Any]
    stopped: bool = False
    purging: bool = False
    stable: dict[str, Any] | None = None
    """The last document whose rollout succeeded: what a failed rollout goes back to."""
    rollout: RolloutRecord | None = None


class SpoolRecord(msgspec.Struct, kw_only=True):
    """How much of a container's output is in the copy's files: everything up to ``seen`` entries that
    Docker wrote at ``time``, which are the first bytes of the files up to ``sizes``."""

    container: str = ""
    time: str = ""
    seen: int = 0
    sizes: dict[str, int] = {}


class CopyRecord(msgspec.Struct, kw_only=True):
    """One copy, alive or dead. Its document lies beside it, since it outlives the job's current one."""

    id: str
    namespace: str
    job: str
    index: int
    release_id: str
    fingerprint: str
    driver: str
    port: int
    pid: int | None = None
    mark: str = ""
    """When the process began, so that a reused process id is told apart (see ``process.start_mark``)."""
    container: str = ""
    healthy: bool = False
    listening: bool | None = None
    routed: bool = False
    """The router was given this copy, and was not yet told to forget it."""
    probation: bool = True
    """Still part of an unfinished rollout: it gets the restart policy's attempts and no more."""
    stopping: bool = False
    ended: bool = False
    """Will never run again; kept with its last log lines until the next rollout."""
    restarts: int = 0
    started_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    message: str = ""
