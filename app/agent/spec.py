"""Nomad's job document, read into what this engine does with it. Pure.

Only what ``jobs.render`` writes is understood: one group, one task. What would change the meaning and is
not understood is refused in words, never ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.agent.routing import validate_tags
from app.ports.scheduler import JobRef, SchedulerRejected

Document = dict[str, Any]

_SECOND = 1_000_000_000
_NOMAD_VAR = re.compile(r'nomadVar\s+"([^"]+)"')
_PROCESS_DRIVERS = {"raw_exec", "exec"}


@dataclass(frozen=True)
class Check:
    """When a copy may be routed to. Times in seconds. ``http`` passes on 2xx, as in Consul."""

    kind: Literal["http", "tcp"]
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    interval: float = 1.0
    timeout: float = 2.0
    failures_before_unhealthy: int = 3


@dataclass(frozen=True)
class RestartPolicy:
    """During a rollout: so many restarts, ``delay`` seconds apart, and then it has failed."""

    attempts: int = 2
    delay: float = 1.0


@dataclass(frozen=True)
class UpdatePolicy:
    min_healthy: float = 0.0
    healthy_deadline: float = 300.0
    progress_deadline: float = 0.0
    """0: the first copy that is found unhealthy ends the rollout."""


@dataclass(frozen=True)
class Fetch:
    """A slug: its URL, SHA-256, and where in the task's working folder the archive is put as it is."""

    url: str
    sha256: str
    destination: str


@dataclass(frozen=True)
class JobSpec:
    ref: JobRef
    document: Document
    meta: Mapping[str, str]
    count: int
    group: str
    task: str
    driver: Literal["process", "docker"]
    config: Mapping[str, Any]
    env: Mapping[str, str]
    secret_paths: tuple[str, ...]
    fetches: tuple[Fetch, ...]
    port_label: str
    port_inside: int
    """The port inside of a container; 0: the same as outside."""
    service: str
    tags: tuple[str, ...]
    check: Check | None
    update: UpdatePolicy
    restart: RestartPolicy
    shutdown_delay: float
    kill_timeout: float
    kill_signal: str
    cpu: int
    memory_mb: int
    fingerprint: str
    """Two documents with the same one need no new copies: they differ in count, tags or policy only."""

    @property
    def release_id(self) -> str:
        return self.meta.get("release", "")


def parse(document: Document) -> JobSpec:
    """Raises SchedulerRejected, naming the part that this engine cannot run."""
    try:
        return _parse(document)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SchedulerRejected(
            f"The job document is malformed: {type(error).__name__} at {error}."
        ) from error


def _parse(document: Document) -> JobSpec:
    group = _only(document["TaskGroups"], "group")
    task = _only(group["Tasks"], "task")
    services = [*(group.get("Services") or ()), *(task.get("Services") or ())]
    service = _only(services, "service") if services else {}
    port = _port(group)
    tags = tuple(service.get("Tags") or ())
    validate_tags(tags)
    resources = task.get("Resources") or {}
    meta = {str(key): str(value) for key, value in (document.get("Meta") or {}).items()}
    return JobSpec(
        ref=JobRef(document.get("Namespace") or "default", _identifier(document["ID"])),
        document=document,
        meta=meta,
        count=int(group.get("Count", 1)),
        group=group["Name"],
        task=_identifier(task["Name"]),
        driver=_driver(task),
        config=task.get("Config") or {},
        env={str(key): str(value) for key, value in (task.get("Env") or {}).items()},
        secret_paths=_secret_paths(task),
        fetches=tuple(_fetch(artifact) for artifact in task.get("Artifacts") or ()),
        port_label=port.get("Label", ""),
        port_inside=int(port.get("To") or 0),
        service=service.get("Name", ""),
        tags=tags,
        check=_check(service),
        update=_update(group.get("Update") or document.get("Update") or {}),
        restart=_restart(group.get("RestartPolicy") or {}),
        shutdown_delay=_seconds(group.get("ShutdownDelay")) + _seconds(task.get("ShutdownDelay")),
        kill_timeout=_seconds(task.get("KillTimeout"), default=5.0),
        kill_signal=task.get("KillSignal") or "SIGTERM",
        cpu=int(resources.get("CPU") or 100),
        memory_mb=int(resources.get("MemoryMaxMB") or resources.get("MemoryMB") or 300),
        fingerprint=_fingerprint(meta, group, task),
    )


def _only(values: Any, what: str) -> dict[str, Any]:
    if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], dict):
        raise SchedulerRejected(f"The embedded engine runs jobs of exactly one {what}.")
    return values[0]


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", value):
        raise SchedulerRejected(f"{value[:80]!r} is not a usable name for a job or task.")
    return value


def _driver(task: Mapping[str, Any]) -> Literal["process", "docker"]:
    name = task["Driver"]
    if name in _PROCESS_DRIVERS:
        return "process"
    if name == "docker":
        return "docker"
    raise SchedulerRejected(
        f"The embedded engine has no driver {name!r}.", hint="It runs raw_exec, exec and docker."
    )


def _port(group: Mapping[str, Any]) -> dict[str, Any]:
    ports = [
        port
        for network in group.get("Networks") or ()
        for port in network.get("DynamicPorts") or ()
    ]
    return _only(ports, "port") if ports else {}


def _fetch(artifact: Mapping[str, Any]) -> Fetch:
    options = artifact.get("GetterOptions") or {}
    if artifact.get("GetterMode") != "file" or options.get("archive") != "false":
        raise SchedulerRejected("The embedded engine fetches artifacts as files and unpacks none.")
    kind, _, digest = options.get("checksum", "").partition(":")
    if kind != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise SchedulerRejected("An artifact needs the checksum sha256:<64 hex digits>.")
    return Fetch(
        artifact["GetterSource"], digest, _inside(artifact.get("RelativeDest") or "local/")
    )


def _inside(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or ".." in parts:
        raise SchedulerRejected(f"The artifact's destination {path!r} leaves the task's folder.")
    return "/".join(parts)


def _secret_paths(task: Mapping[str, Any]) -> tuple[str, ...]:
    paths: list[str] = []
    for template in task.get("Templates") or ():
        if not template.get("Envvars"):
            raise SchedulerRejected(
                "The embedded engine renders only templates with Envvars = true."
            )
        paths += _NOMAD_VAR.findall(template.get("EmbeddedTmpl") or "")
    return tuple(dict.fromkeys(paths))


def _check(service: Mapping[str, Any]) -> Check | None:
    checks = service.get("Checks") or []
    if not checks:
        return None
    check = _only(checks, "check")
    kind = check["Type"]
    if kind not in {"http", "tcp"}:
        raise SchedulerRejected(f"The embedded engine has no check of type {kind!r}.")
    headers = check.get("Header") or {}
    return Check(
        kind=kind,
        method=check.get("Method") or "GET",
        path=check.get("Path") or "/",
        headers=tuple((name, value) for name, values in headers.items() for value in values),
        interval=_seconds(check.get("Interval"), default=1.0),
        timeout=_seconds(check.get("Timeout"), default=2.0),
        failures_before_unhealthy=int(check.get("FailuresBeforeCritical") or 3),
    )


def _update(update: Mapping[str, Any]) -> UpdatePolicy:
    return UpdatePolicy(
        min_healthy=_seconds(update.get("MinHealthyTime")),
        healthy_deadline=_seconds(update.get("HealthyDeadline"), default=300.0),
        progress_deadline=_seconds(update.get("ProgressDeadline")),
    )


def _restart(policy: Mapping[str, Any]) -> RestartPolicy:
    attempts = policy.get("Attempts")
    return RestartPolicy(
        attempts=2 if attempts is None else int(attempts),
        delay=_seconds(policy.get("Delay"), default=1.0),
    )


def _seconds(nanoseconds: Any, *, default: float = 0.0) -> float:
    return default if nanoseconds is None else int(nanoseconds) / _SECOND


def _fingerprint(meta: Mapping[str, str], group: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """What Nomad calls destructive. A slug counts by its checksum: a URL may be signed anew."""
    task = {key: value for key, value in task.items() if key not in {"Services", "KillTimeout"}}
    task["Artifacts"] = [
        {**artifact, "GetterSource": None} for artifact in task.get("Artifacts") or ()
    ]
    essence = {"meta": meta, "networks": group.get("Networks"), "task": task}
    encoded = json.dumps(essence, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(encoded).hexdigest()
