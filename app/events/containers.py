"""What has happened to an instance's containers, from how they were and how they are: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.models import EventKind
from app.ports.scheduler import Allocation, AllocationState

KIND = "containers"
"""The kind of the reconciler that tells of them, by instance."""

_OVER = frozenset({AllocationState.EXITED, AllocationState.LOST})
_ASKED_TO_END = frozenset({None, 0, 130, 137, 143})
"""Exit codes of an app that was sent SIGINT, SIGKILL or SIGTERM, or that knows how to end."""


@dataclass(frozen=True)
class Known:
    """A container as it was last told of."""

    id: str
    name: str
    release_id: str
    started: bool
    ended: bool
    healthy: bool
    restarts: int


@dataclass(frozen=True)
class Told:
    kind: EventKind
    payload: dict[str, Any]


def known_of(allocation: Allocation) -> Known:
    ended = allocation.state in _OVER
    return Known(
        id=allocation.id,
        name=allocation.name,
        release_id=allocation.release_id,
        started=ended or allocation.state is not AllocationState.PENDING,
        ended=ended,
        healthy=allocation.healthy,
        restarts=allocation.restarts,
    )


def happened(before: Iterable[Known], now: Sequence[Allocation]) -> list[Told]:
    """In the order in which a container goes through them. One that came and went unseen is not told of."""
    known = {each.id: each for each in before}
    listed = {each.id for each in now}
    told = [event for each in now for event in _of_one(known.get(each.id), each)]
    gone = [each for each in known.values() if each.id not in listed and not each.ended]
    return [
        *told,
        *(Told(EventKind.CONTAINER_STOPPED, _payload(each)) for each in gone if each.started),
    ]


def _of_one(before: Known | None, allocation: Allocation) -> list[Told]:
    now = known_of(allocation)
    if now.ended and (before is None or before.ended):
        return []
    told: list[Told] = []
    if now.started and not (before and before.started):
        told.append(Told(EventKind.CONTAINER_STARTED, _payload(now)))
    if now.ended:
        return [*told, _end_of(allocation, now)]
    was_healthy = before is not None and before.healthy
    if now.restarts > (before.restarts if before else 0):
        told.append(Told(EventKind.CONTAINER_CRASHED, _crash(allocation, now)))
        was_healthy = False
    if now.healthy and not was_healthy:
        told.append(Told(EventKind.CONTAINER_HEALTHY, _payload(now)))
    elif was_healthy and not now.healthy:
        told.append(Told(EventKind.CONTAINER_UNHEALTHY, _payload(now)))
    return told


def _end_of(allocation: Allocation, now: Known) -> Told:
    """Engines do not tell apart what ended by itself and what they ended; an exit code mostly does."""
    by_itself = allocation.oom_killed or allocation.exit_code not in _ASKED_TO_END
    if by_itself or allocation.state is AllocationState.LOST:
        return Told(EventKind.CONTAINER_CRASHED, _crash(allocation, now))
    return Told(EventKind.CONTAINER_STOPPED, _payload(now))


def _payload(known: Known) -> dict[str, Any]:
    return {"name": known.name, "containerId": known.id, "releaseId": known.release_id}


def _crash(allocation: Allocation, now: Known) -> dict[str, Any]:
    return {
        **_payload(now),
        "exitCode": allocation.exit_code,
        "oomKilled": allocation.oom_killed,
        "restarts": allocation.restarts,
        "message": allocation.message,
    }
