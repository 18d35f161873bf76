"""How an instance is doing, in one word: pure."""

from __future__ import annotations

import enum


class InstanceStatus(enum.StrEnum):
    EMPTY = "empty"
    """Nothing was deployed yet."""
    DEPLOYING = "deploying"
    RUNNING = "running"
    DEGRADED = "degraded"
    """Fewer copies answer than the release has."""
    CRASHED = "crashed"
    """None answers."""
    STOPPED = "stopped"
    """Its project is deleted, or it is scaled to none."""
    UNKNOWN = "unknown"
    """The router's catalog did not answer."""


def status_of(
    *, deleted: bool, deploying: bool, replicas: int | None, healthy: int | None
) -> InstanceStatus:
    """``replicas``: the current release's, None without one. ``healthy``: copies that the router may
    send requests to, None when that is not known."""
    if deleted:
        return InstanceStatus.STOPPED
    if deploying:
        return InstanceStatus.DEPLOYING
    if replicas is None:
        return InstanceStatus.EMPTY
    if replicas == 0:
        return InstanceStatus.STOPPED
    if healthy is None:
        return InstanceStatus.UNKNOWN
    if healthy >= replicas:
        return InstanceStatus.RUNNING
    return InstanceStatus.DEGRADED if healthy else InstanceStatus.CRASHED
