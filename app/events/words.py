"""An event in one plain sentence: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.models import EventKind

_Payload = Mapping[str, Any]


def sentence(kind: EventKind, payload: _Payload) -> str:
    """Of what the payload holds; what an older version of the platform left out is left out."""
    return _SENTENCES[kind](payload)


def _deployment(what: str) -> Callable[[_Payload], str]:
    return lambda payload: f"Deployment #{payload.get('number', '?')} {what}."


def _failed(payload: _Payload) -> str:
    why = payload.get("message")
    return f"Deployment #{payload.get('number', '?')} failed" + (f": {why}" if why else ".")


def _container(what: str) -> Callable[[_Payload], str]:
    return lambda payload: f"{payload.get('name', 'A container')} {what}."


def _crashed(payload: _Payload) -> str:
    name, code = payload.get("name", "A container"), payload.get("exitCode")
    if payload.get("oomKilled"):
        return f"{name} was ended because it used more memory than it has."
    return f"{name} ended by itself" + ("." if code is None else f" with exit code {code}.")


def _variables(payload: _Payload) -> str:
    parts = [
        f"{verb} {', '.join(payload[key])}"
        for key, verb in (("set", "set"), ("unset", "removed"))
        if payload.get(key)
    ]
    return f"Variables changed: {'; '.join(parts)}{_staged(payload)}."


def _scale(payload: _Payload) -> str:
    copies = payload.get("replicas", "?")
    return (
        f"Scale changed: {copies} {'copy' if copies == 1 else 'copies'}, {payload.get('cpuMillis', '?')}"
        f" thousandths of a core and {payload.get('memoryMb', '?')} MB each{_staged(payload)}."
    )


def _environment(what: str) -> Callable[[_Payload], str]:
    return lambda payload: f"The environment {payload.get('slug', '?')} {what}."


def _staged(payload: _Payload) -> str:
    return "" if payload.get("deployed", True) else " (staged)"


_SENTENCES: dict[EventKind, Callable[[_Payload], str]] = {
    EventKind.DEPLOYMENT_CREATED: _deployment("was queued"),
    EventKind.DEPLOYMENT_SUCCEEDED: _deployment("is live"),
    EventKind.DEPLOYMENT_FAILED: _failed,
    EventKind.DEPLOYMENT_CANCELED: _deployment("was cancelled"),
    EventKind.DEPLOYMENT_SUPERSEDED: _deployment("gave way to a newer one"),
    EventKind.CONTAINER_STARTED: _container("started"),
    EventKind.CONTAINER_CRASHED: _crashed,
    EventKind.CONTAINER_UNHEALTHY: _container("fails its health check"),
    EventKind.CONTAINER_HEALTHY: _container("passes its health check"),
    EventKind.CONTAINER_STOPPED: _container("was stopped"),
    EventKind.VARIABLES_CHANGED: _variables,
    EventKind.SCALE_CHANGED: _scale,
    EventKind.ENVIRONMENT_CREATED: _environment("was created"),
    EventKind.ENVIRONMENT_DELETED: _environment("was deleted"),
    EventKind.WEBHOOK_DISABLED: lambda payload: (
        f"A webhook was switched off: {payload.get('reason', 'it failed.')}"
    ),
}
