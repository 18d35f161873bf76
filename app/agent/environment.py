"""The environment of a copy: what Nomad would give it, then the job's own, then the release's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.agent.records import CopyRecord
from app.agent.spec import JobSpec

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.\-]+)\}")


@dataclass(frozen=True)
class Folders:
    """Where the copy's folders are, as the copy sees them."""

    task: str
    alloc: str
    secrets: str


def build(
    copy: CopyRecord, spec: JobSpec, folders: Folders, secrets: Mapping[str, str]
) -> dict[str, str]:
    """Later ones win, as in Nomad: a template's variables over the task's ``Env``."""
    base = _nomad(copy, spec, folders)
    own = {name: interpolate(value, base) for name, value in spec.env.items()}
    return {**base, **own, **secrets}


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """``${NOMAD_PORT_http}`` and ``${env.NAME}`` replaced; an unknown name stays as it is."""

    def replace(match: re.Match[str]) -> str:
        return values.get(match[1].removeprefix("env."), match[0])

    return _REFERENCE.sub(replace, text)


def _nomad(copy: CopyRecord, spec: JobSpec, folders: Folders) -> dict[str, str]:
    inside = spec.port_inside if spec.driver == "docker" and spec.port_inside else copy.port
    label = spec.port_label
    values = {
        "NOMAD_ALLOC_ID": copy.id,
        "NOMAD_SHORT_ALLOC_ID": copy.id[:8],
        "NOMAD_ALLOC_NAME": f"{copy.job}.{spec.group}[{copy.index}]",
        "NOMAD_ALLOC_INDEX": str(copy.index),
        "NOMAD_ALLOC_DIR": folders.alloc,
        "NOMAD_TASK_DIR": folders.task,
        "NOMAD_SECRETS_DIR": folders.secrets,
        "NOMAD_TASK_NAME": spec.task,
        "NOMAD_GROUP_NAME": spec.group,
        "NOMAD_JOB_ID": copy.job,
        "NOMAD_JOB_NAME": copy.job,
        "NOMAD_NAMESPACE": copy.namespace,
        "NOMAD_DC": "embedded",
        "NOMAD_REGION": "global",
        "NOMAD_CPU_LIMIT": str(spec.cpu),
        "NOMAD_MEMORY_LIMIT": str(spec.memory_mb),
    }
    if label:
        values |= {
            f"NOMAD_IP_{label}": "127.0.0.1",
            f"NOMAD_PORT_{label}": str(inside),
            f"NOMAD_ADDR_{label}": f"127.0.0.1:{inside}",
            f"NOMAD_HOST_PORT_{label}": str(copy.port),
            f"NOMAD_HOST_ADDR_{label}": f"127.0.0.1:{copy.port}",
        }
    for key, value in spec.meta.items():
        values[f"NOMAD_META_{key}"] = value
        values[f"NOMAD_META_{key.upper()}"] = value
    return values
