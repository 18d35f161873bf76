"""A release of an instance as one Nomad service job.

Both engines are given exactly this document. What an update must and must not restart follows from
Nomad's rules: the task is named after the release, so each release is a destructive update that goes
through ``update`` (canary = count: blue/green), and reads one Variable of its own without any ACL
policy, since a workload may always read ``nomad/jobs/<job>/<group>/<task>``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.routing import routing_tags

Job = dict[str, Any]

GROUP = "web"
PORT_LABEL = "http"
SECOND = 1_000_000_000
"""Nomad's JSON durations are nanoseconds."""

CHECK_INTERVAL = 1 * SECOND
CHECK_TIMEOUT = 2 * SECOND
MIN_HEALTHY_TIME = 1 * SECOND
"""How long a new copy must stay up and answering before it counts. Longer catches a server that binds
its port and then dies while it loads; each second of it is a second of every rollout."""
SHUTDOWN_DELAY = 2 * SECOND
"""Between leaving Consul and SIGTERM: the router must have stopped sending requests by then."""
KILL_TIMEOUT = 15 * SECOND
RESTART_DELAY = 1 * SECOND
RESTARTS = 2
"""A copy that ended this often (and once more) within RESTART_INTERVAL fails, and with it the rollout."""
RESTART_INTERVAL = 60 * SECOND
SECRETS_MARK = "PAAS_RELEASE_SECRETS"
"""Always one item of a release's Variable, since Nomad stores no empty one. Not given to the app."""

_SERVICE_NAME_LIMIT = 63
_RUNTIME = "runtime"


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
    slug_image: str = ""
    """What slugs run in when ``slug_driver`` is ``docker``."""
    slug_volume: str = ""
    """Host volume with the languages' runtimes, mounted at ``/usr`` for ``exec``. Without one, Nomad links
    its ``chroot_env`` file by file at each start: 9,000 files cost 1 to 2 seconds."""


@dataclass(frozen=True)
class JobInput:
    platform: str
    """Which platform the job belongs to: it removes no job of another's."""
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
    healthy_deadline_seconds: int = 120
    """By when a new copy must answer, from its placement on: it includes fetching the image or slug."""


def namespace_of(organization: str) -> str:
    """One Nomad namespace an organization."""
    return organization


def job_id_of(project: str, app: str, environment: str) -> str:
    """Unique in the namespace, because the hostname that it spells is unique."""
    return f"{project}-{app}-{environment}"


def service_name_of(organization: str, job_id: str) -> str:
    """Unique in all of Consul: no slug holds ``--``. Nomad allows 63 characters; a longer name is cut
    and ends in a digest of the whole."""
    name = f"{organization}--{job_id}"
    if len(name) <= _SERVICE_NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: _SERVICE_NAME_LIMIT - 13].rstrip('-')}-{digest}"


def task_name_of(release_number: int) -> str:
    return f"web-r{release_number}"


def secrets_path_of(job_id: str, release_number: int) -> str:
    """The release's own Variable; its task may read it and no other may."""
    return f"nomad/jobs/{job_id}/{GROUP}/{task_name_of(release_number)}"


def render(job: JobInput, capabilities: Capabilities) -> Job:
    """The job document to register. Same inputs, same bytes: no clock, no randomness.

    Raises ValueError for a hostname that is none: such a one could rewrite the router's rules.
    """
    job_id = job_id_of(job.project, job.app, job.environment)
    return {
        "ID": job_id,
        "Name": job_id,
        "Namespace": namespace_of(job.organization),
        "Type": "service",
        "Datacenters": ["*"],
        "Meta": _meta(job),
        "Spreads": [{"Attribute": "${node.unique.id}", "Weight": 50}],
        "TaskGroups": [_group(job, job_id, capabilities)],
    }


def _meta(job: JobInput) -> dict[str, str]:
    """Any change here restarts every copy, so nothing but the release may vary: never a time."""
    return {
        "paas": "1",
        "platform": job.platform,
        "organization": job.organization,
        "project": job.project,
        "app": job.app,
        "environment": job.environment,
        "instance": job.instance_id,
        "release": job.release_id,
        "release_number": str(job.release_number),
        "commit": job.commit_sha,
    }


def _group(job: JobInput, job_id: str, capabilities: Capabilities) -> dict[str, Any]:
    driver = _driver(job.artifact, capabilities)
    port: dict[str, Any] = {"Label": PORT_LABEL}
    if driver == "docker":
        port["To"] = job.container_port
    volume = _runtime_volume(driver, capabilities)
    return {
        "Name": GROUP,
        "Count": job.scale.replicas,
        "Update": _update(job),
        "RestartPolicy": {
            "Attempts": RESTARTS,
            "Interval": RESTART_INTERVAL,
            "Delay": RESTART_DELAY,
            "Mode": "fail",
        },
        "ReschedulePolicy": {
            "Unlimited": True,
            "Delay": 5 * SECOND,
            "DelayFunction": "exponential",
            "MaxDelay": 120 * SECOND,
        },
        "EphemeralDisk": {"SizeMB": 300},
        "Networks": [{"DynamicPorts": [port]}],
        **({"Volumes": {_RUNTIME: volume}} if volume else {}),
        "Tasks": [_task(job, job_id, driver, capabilities)],
    }


def _update(job: JobInput) -> dict[str, Any]:
    """Blue/green: as many new copies as are wanted, then all of the old ones go.

    ``ProgressDeadline`` 0 lets the first copy that is found unhealthy end the rollout; with another value
    Nomad tries copy after copy until the deadline.
    """
    copies = max(1, job.scale.replicas)
    return {
        "MaxParallel": copies,
        "Canary": copies,
        "AutoPromote": True,
        "AutoRevert": True,
        "HealthCheck": "checks",
        "MinHealthyTime": MIN_HEALTHY_TIME,
        "HealthyDeadline": job.healthy_deadline_seconds * SECOND,
        "ProgressDeadline": 0,
    }


def _task(job: JobInput, job_id: str, driver: str, capabilities: Capabilities) -> dict[str, Any]:
    name = task_name_of(job.release_number)
    port = str(job.container_port) if driver == "docker" else "${NOMAD_PORT_" + PORT_LABEL + "}"
    task: dict[str, Any] = {
        "Name": name,
        "Driver": driver,
        "Config": _config(job.artifact, driver, capabilities),
        "Env": {**job.platform_env, "PORT": port},
        "Templates": [_secrets_template(secrets_path_of(job_id, job.release_number))],
        "Services": [_service(job, job_id, driver)],
        "Resources": {"CPU": job.scale.cpu_millis, "MemoryMB": job.scale.memory_mb},
        "LogConfig": {"MaxFiles": 3, "MaxFileSizeMB": 10},
        "KillSignal": "SIGTERM",
        "KillTimeout": KILL_TIMEOUT,
        "ShutdownDelay": SHUTDOWN_DELAY,
    }
    if job.artifact.kind == "slug":
        task["Artifacts"] = [_slug_download(job.artifact)]
    if _runtime_volume(driver, capabilities):
        mount = {"Volume": _RUNTIME, "Destination": "/usr", "ReadOnly": True}
        task["VolumeMounts"] = [mount]
    return task


def _runtime_volume(driver: str, capabilities: Capabilities) -> dict[str, Any]:
    """Also what places slugs on nodes that have the runtimes only."""
    if driver != "exec" or not capabilities.slug_volume:
        return {}
    source = capabilities.slug_volume
    return {"Name": _RUNTIME, "Type": "host", "Source": source, "ReadOnly": True}


def _driver(artifact: Artifact, capabilities: Capabilities) -> str:
    return "docker" if artifact.kind == "image" else capabilities.slug_driver


_UNPACK = (
    'cd "$NOMAD_TASK_DIR" || exit 1; '
    "[ -d app ] || { rm -rf app.part && mkdir app.part && tar -xof slug -C app.part"
    " && mv app.part app && rm -f slug; } || exit 1; "
    "cd app || exit 1; "
)
"""Unpacks once into the task's own folder; a restart finds it done."""

_RUN = 'exec /bin/sh .paas/start "$1"'
"""The archive's ``.paas/start`` sets up the language's paths and runs the line it is given."""

_RUN_BELOW = (
    '/bin/sh .paas/start "$1" & app=$!; '
    "trap 'kill -TERM \"$app\"' TERM; "
    'wait "$app"; code=$?; '
    'while kill -0 "$app" 2>/dev/null; do wait "$app"; code=$?; done; '
    'exit "$code"'
)
"""The same, with the shell staying as process 1 of a name space: the kernel keeps SIGTERM from a process 1
that does not handle it, so that most apps would be stopped by SIGKILL after ``KILL_TIMEOUT``."""


def _config(artifact: Artifact, driver: str, capabilities: Capabilities) -> dict[str, Any]:
    command: dict[str, Any] = {}
    if artifact.kind == "slug":
        run = _RUN_BELOW if driver == "exec" else _RUN
        command = _shell(_UNPACK + run, "start", artifact.command)
    elif artifact.command:
        command = _shell(artifact.command)
    if driver != "docker":
        return command
    image = artifact.reference if artifact.kind == "image" else capabilities.slug_image
    return {"image": image, "init": True, "ports": [PORT_LABEL], **command}


def _shell(*arguments: str) -> dict[str, Any]:
    return {"command": "/bin/sh", "args": ["-c", *map(literal, arguments)]}


def literal(text: str) -> str:
    """``text`` as a driver's ``Config`` needs it to mean just that.

    Nomad evaluates those strings as HCL templates: unescaped, ``${DATABASE_URL}`` in a start command would
    put the secret in the process list, and have the shell read its value as code.
    """
    return text.replace("${", "$${").replace("%{", "%%{")


def unescaped(text: str) -> str:
    """What ``literal`` was given: for an engine that evaluates no templates."""
    return text.replace("$${", "${").replace("%%{", "%{")


def _slug_download(artifact: Artifact) -> dict[str, Any]:
    """The archive as it is: Nomad's own unpacking drops symbolic links and stops at 4,096 files."""
    return {
        "GetterSource": artifact.reference,
        "GetterMode": "file",
        "GetterOptions": {"archive": "false", "checksum": f"sha256:{artifact.sha256}"},
        "RelativeDest": "local/slug",
    }


def _secrets_template(path: str) -> dict[str, Any]:
    """Variables of the release as environment. ``toJSON`` keeps newlines and quotes."""
    return {
        "EmbeddedTmpl": (
            f'{{{{ with nomadVar "{path}" }}}}{{{{ range .Tuples }}}}'
            f'{{{{ if ne .K "{SECRETS_MARK}" }}}}{{{{ .K }}}}={{{{ .V | toJSON }}}}\n{{{{ end }}}}'
            "{{ end }}{{ end }}"
        ),
        "DestPath": "secrets/release.env",
        "Envvars": True,
        "ChangeMode": "noop",
        "Perms": "0400",
    }


def _service(job: JobInput, job_id: str, driver: str) -> dict[str, Any]:
    """Registered by the task, since only a task's check may ask the container itself: a published port
    accepts connections on the host before anything listens inside."""
    name = service_name_of(job.organization, job_id)
    check: dict[str, Any] = {
        "Name": "accepts connections",
        "Type": "tcp",
        "Interval": CHECK_INTERVAL,
        "Timeout": CHECK_TIMEOUT,
    }
    if driver == "docker":
        check |= {"AddressMode": "driver", "PortLabel": str(job.container_port)}
    return {
        "Name": name,
        "Provider": "consul",
        "PortLabel": PORT_LABEL,
        "Tags": ["paas", f"paas.release={job.release_id}", *routing_tags(name, job.hostnames)],
        "Checks": [check],
    }
