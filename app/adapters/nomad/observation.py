"""Nomad's records of one job → the port's ``Observation``. Pure: JSON in, values out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.adapters.nomad.placement import no_room
from app.ports.scheduler import (
    Allocation,
    AllocationState,
    CopyUsage,
    JobRef,
    Observation,
    Rollout,
    RolloutStatus,
)
from jobs.render import GROUP, PORT_LABEL

Json = Mapping[str, Any]

_FINISHED = {"complete", "failed"}
_LOST = {"lost", "unknown"}
_ROLLOUT = {"successful": RolloutStatus.SUCCEEDED, "failed": RolloutStatus.FAILED}
_SIGKILLED = 137
_KILLS = {"Killing", "Restart Signaled", "Leader Task Dead", "Sibling Task Failed"}
_TELLING = {
    "Driver Failure",
    "Failed Artifact Download",
    "Failed Validation",
    "Setup Failure",
    "Alloc Unhealthy",
    "Sibling Task Failed",
    "Not Restarting",
    "Terminated",
    "Killing",
    "Template",
}
"""Kinds of task event that explain something; the others only say that time passes."""


@dataclass(frozen=True)
class Placement:
    """What never changes about an allocation, so that it is asked for once."""

    release_id: str
    address: str
    in_rollout: bool
    """Whether a deployment placed it and so reports on its health."""


@dataclass(frozen=True)
class Records:
    """Everything that Nomad says of one job, read at about one moment."""

    job: Json
    deployments: Sequence[Json]
    allocations: Sequence[Json]
    evaluations: Sequence[Json]
    placements: Mapping[str, Placement]
    listening: Mapping[str, bool]
    """By allocation id, where the catalog knows."""


def observation_of(ref: JobRef, records: Records) -> Observation:
    job = records.job
    allocations = tuple(
        _allocation(stub, records)
        for stub in sorted(records.allocations, key=lambda stub: stub["CreateIndex"])
    )
    release_id = release_of(job)
    return Observation(
        ref=ref,
        modify_index=job["JobModifyIndex"],
        stopped=bool(job.get("Stop")),
        release_id=release_id,
        rollout=_rollout(job, release_id, records.deployments, allocations),
        allocations=allocations,
        unplaceable=_unplaceable(job, records.evaluations),
        cursor=_cursor(records),
    )


def release_of(job: Json) -> str:
    return str((job.get("Meta") or {}).get("release", ""))


def placement_of(allocation: Json) -> Placement:
    """From a full allocation, as ``GET /v1/allocation/:id`` gives it."""
    shared = (allocation.get("AllocatedResources") or {}).get("Shared") or {}
    address = ""
    for port in shared.get("Ports") or ():
        if port["Label"] == PORT_LABEL:
            address = f"{port['HostIP']}:{port['Value']}"
    return Placement(
        release_id=release_of(allocation.get("Job") or {}),
        address=address,
        in_rollout=bool(allocation.get("DeploymentID")),
    )


def _allocation(stub: Json, records: Records) -> Allocation:
    placement = _placement(stub, records)
    task: Json = next(iter((stub.get("TaskStates") or {}).values()), {})
    events: Sequence[Json] = task.get("Events") or ()
    ended = [event for event in events if event["Type"] == "Terminated"]
    state = _state(stub, task)
    return Allocation(
        id=stub["ID"],
        name=stub["Name"],
        release_id=placement.release_id,
        state=state,
        healthy=_healthy(stub, state, records),
        restarts=int(task.get("Restarts") or 0),
        started_at=_time(task.get("StartedAt")),
        exit_code=_exit_code(ended[-1]) if ended else None,
        oom_killed=_out_of_memory(events),
        listening=records.listening.get(stub["ID"]),
        message=_message(stub, events),
        address=placement.address,
    )


def _state(stub: Json, task: Json) -> AllocationState:
    status = stub["ClientStatus"]
    if status in _FINISHED:
        return AllocationState.EXITED
    if status in _LOST:
        return AllocationState.LOST
    if status == "pending" or task.get("State") == "pending":
        return AllocationState.PENDING
    unhealthy = (stub.get("DeploymentStatus") or {}).get("Healthy") is False
    return AllocationState.UNHEALTHY if unhealthy else AllocationState.RUNNING


def _healthy(stub: Json, state: AllocationState, records: Records) -> bool:
    """Whether the router may send it requests: its check passes in the catalog.

    Where the catalog does not know, Nomad's judgement counts. It gives one during rollouts only; a copy
    that was placed later (a node was lost) counts once it runs. One that is being stopped has left the
    catalog already.
    """
    if state is not AllocationState.RUNNING or stub["DesiredStatus"] != "run":
        return False
    if stub["ID"] in records.listening:
        return records.listening[stub["ID"]]
    judged = (stub.get("DeploymentStatus") or {}).get("Healthy")
    return bool(judged) if judged is not None else not _placement(stub, records).in_rollout


def _placement(stub: Json, records: Records) -> Placement:
    return records.placements.get(stub["ID"], Placement("", "", True))


def _details(event: Json) -> Json:
    return event.get("Details") or {}


def _exit_code(event: Json) -> int:
    """128 and the signal's number for a copy that a signal ended, as a shell says it."""
    details = _details(event)
    code, signal = (int(details.get(key) or 0) for key in ("exit_code", "signal"))
    return code or (128 + signal if signal else 0)


def _out_of_memory(events: Sequence[Json]) -> bool:
    """Docker says so. ``exec`` does not tell on Nomad 1.6: there, SIGKILL that Nomad did not send is taken
    for the kernel's."""
    killing = False
    for event in events:
        if event["Type"] == "Started":
            killing = False
        killing = killing or event["Type"] in _KILLS
        if event["Type"] == "Terminated" and (
            _details(event).get("oom_killed") == "true"
            or (not killing and _exit_code(event) == _SIGKILLED)
        ):
            return True
    return False


def _message(stub: Json, events: Sequence[Json]) -> str:
    for event in reversed(events):
        if event["Type"] in _TELLING and event.get("DisplayMessage"):
            return str(event["DisplayMessage"])
    return str(stub.get("ClientDescription") or stub.get("DesiredDescription") or "")


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def _rollout(
    job: Json, release_id: str, deployments: Sequence[Json], allocations: Sequence[Allocation]
) -> Rollout | None:
    """The rollout of the registered version: its deployment says how it goes.

    There is none for a job without copies, nor when Nomad found everything running already; then the
    copies themselves are the evidence.
    """
    if job.get("Stop"):
        return None
    desired = int(job["TaskGroups"][0]["Count"])
    deployment = _deployment_of(job, deployments)
    if deployment is not None:
        group = deployment["TaskGroups"].get(GROUP, {})
        return Rollout(
            release_id=release_id,
            status=_ROLLOUT.get(deployment["Status"], RolloutStatus.RUNNING),
            desired=desired,
            healthy=min(desired, int(group.get("HealthyAllocs") or 0)),
            message=str(deployment.get("StatusDescription") or ""),
        )
    healthy = sum(copy.healthy for copy in allocations if copy.release_id == release_id)
    done = healthy >= desired
    status = RolloutStatus.SUCCEEDED if done else RolloutStatus.PENDING
    return Rollout(release_id, status, desired, min(desired, healthy))


def _deployment_of(job: Json, deployments: Sequence[Json]) -> Json | None:
    """The newest one of this version. Versions start again when a job is purged, hence the create index."""
    mine = [
        deployment
        for deployment in deployments
        if deployment["JobVersion"] == job["Version"]
        and deployment["JobCreateIndex"] == job["CreateIndex"]
    ]
    return max(mine, key=lambda deployment: int(deployment["CreateIndex"]), default=None)


def _unplaceable(job: Json, evaluations: Sequence[Json]) -> tuple[str, ...]:
    """From the newest evaluation that tried to place this version, as long as one still waits for room."""
    current = [e for e in evaluations if e["ModifyIndex"] >= job["JobModifyIndex"]]
    if not any(evaluation["Status"] == "blocked" for evaluation in current):
        return ()
    tried = [evaluation for evaluation in current if evaluation.get("FailedTGAllocs")]
    if not tried:
        return ()
    newest = max(tried, key=lambda evaluation: int(evaluation["ModifyIndex"]))
    return no_room(newest["FailedTGAllocs"], job)


def _cursor(records: Records) -> str:
    """Changes exactly when one of the records did."""
    parts = [str(records.job["ModifyIndex"])]
    for kind in (records.deployments, records.allocations, records.evaluations):
        parts += sorted(f"{record['ID']}@{record['ModifyIndex']}" for record in kind)
    parts += sorted(f"{key}={value}" for key, value in records.listening.items())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def usage_of(ref: JobRef, allocation_id: str, stats: Any) -> CopyUsage | None:
    """Of ``/v1/client/allocation/:id/stats``, where 100 percent is one CPU."""
    used = (stats or {}).get("ResourceUsage")
    if not used:
        return None
    memory = used.get("MemoryStats") or {}
    return CopyUsage(
        ref,
        allocation_id,
        round((used.get("CpuStats") or {}).get("Percent", 0.0) * 10),
        int(memory.get("Usage") or memory.get("RSS") or 0),
    )
