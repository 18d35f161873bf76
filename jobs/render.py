"""A release of an instance as one Nomad service job.

Both engines are given exactly this document. What an update must and must not restart follows from
Nomad's rules: the task is named after the release, so each release is a destructive update that goes
through ``update`` (canary = count: blue/green), and reads one Variable of its own without any ACL
policy, since a workload may always read ``nomad/jobs/<job>/<group>/<task>``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Job = dict[str, Any]

GROUP = "web"
SECOND = 1_000_000_000
"""Nomad's JSON durations are nanoseconds."""


@dataclass(frozen=True)
class Scale:
    replicas: int
    cpu_millis: int
    memory_mb: int


@dataclass(frozen=True)
class Artifact:
    """What runs: an image by digest, or a slug by signed URL and SHA-256."""

    kind: Literal["image", "slug"]
    reference: str
    """``registry/name@sha256:…``, or the slug's URL."""
    sha256: str = ""
    command: str = ""
    """Shell line of the ``web`` process; empty lets an image run its own command."""


@dataclass(frozen=True)
class Capabilities:
    """What the engine can do, read once from it. Nothing else about it may change the rendering."""

    engine: Literal["embedded", "nomad", "memory"]
    version: tuple[int, int, int] = (1, 6, 3)
    slug_driver: Literal["exec", "raw_exec", "docker"] = "raw_exec"
    images: bool = True


@dataclass(frozen=True)
class JobInput:
    organization: str
    project: str
    app: str
    environment: str
    instance_id: str
    release_id: str
    release_number: int
    commit_sha: str
    hostnames: tuple[str, ...]
    container_port: int
    artifact: Artifact
    scale: Scale
    platform_env: dict[str, str] = field(default_factory=dict)
    """Non-secret variables that the platform adds (``PAAS_APP`` and so on)."""


def namespace_of(organization: str) -> str:
    """One Nomad namespace an organization."""
    return organization


def job_id_of(project: str, app: str, environment: str) -> str:
    """Unique in the namespace, because the hostname that it spells is unique."""
    return f"{project}-{app}-{environment}"


def service_name_of(organization: str, job_id: str) -> str:
    """Unique in all of Consul: no slug holds ``--``."""
    return f"{organization}--{job_id}"


def task_name_of(release_number: int) -> str:
    return f"web-r{release_number}"


def secrets_path_of(job_id: str, release_number: int) -> str:
    """The release's own Variable; its task may read it and no other may."""
    return f"nomad/jobs/{job_id}/{GROUP}/{task_name_of(release_number)}"


def render(job: JobInput, capabilities: Capabilities) -> Job:
    """The job document to register. Same inputs, same bytes: no clock, no randomness."""
    raise NotImplementedError
