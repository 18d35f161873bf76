"""What ``paas doctor`` looks at: one function a subject, each reading the machine and nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.errors import ExternalFailure, InvalidInput
from app.settings import Settings

_DISK_GB = 2
_GIT = (2, 31)
"""GIT_CONFIG_COUNT, and hooks that read push options."""


@dataclass(frozen=True)
class Finding:
    level: Literal["ok", "missing", "optional"]
    """``missing``: the platform cannot run so. ``optional``: it can, without what the text names."""
    text: str
    remedy: str = ""


def ok(text: str) -> Finding:
    return Finding("ok", text)


def python(settings: Settings) -> Iterator[Finding]:
    yield ok(f"Python {'.'.join(map(str, sys.version_info[:3]))}")


def git(settings: Settings) -> Iterator[Finding]:
    said = _said("git", "--version")
    if said is None:
        yield Finding("missing", "git is not installed", "apt-get install git")
        return
    version = tuple(int(part) for part in said.split()[2].split(".")[:2] if part.isdigit())
    if version < _GIT:
        yield Finding("missing", f"{said} is too old", "Install git 2.31 or newer.")
    else:
        yield ok(said)


def home(settings: Settings) -> Iterator[Finding]:
    folder = settings.home_path
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = "Set PAAS_HOME to a folder that you may write to."
        yield Finding("missing", f"The home folder {folder} cannot be written to", remedy)
        return
    for secret in ("secret.key", "admin.token"):
        path = folder / secret
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding("missing", f"{path} can be read by others", f"chmod 600 {path}")
    free = shutil.disk_usage(existing).free / 1024**3
    if free < _DISK_GB:
        remedy = f"Free some, or set PAAS_HOME to a disk with {_DISK_GB} GB."
        yield Finding("missing", f"Only {free:.1f} GB free for {folder}", remedy)
    else:
        yield ok(f"Home folder {folder} ({free:.0f} GB free)")


def ports(settings: Settings) -> Iterator[Finding]:
    from app.up import embedded, lock
    from app.up import ports as up_ports

    running = lock.holder(settings.home_path)
    if running is not None and running.alive:
        yield ok(f"`paas up` runs (process {running.pid}), on its ports")
        return
    for need in embedded.needs(settings):
        who = up_ports.taken(need)
        if who is None:
            yield ok(f"Port {need.port} is free, for {need.purpose}")
        else:
            remedy = f"Stop it, or choose another: export {need.setting}=…"
            yield Finding("missing", f"Port {need.port}, for {need.purpose}, is {who}", remedy)


def postgres(settings: Settings) -> Iterator[Finding]:
    if settings.database_url:
        yield ok("Postgres: the server of PAAS_DATABASE_URL")
        return
    from app.adapters.local.postgres import binaries

    try:
        yield ok(f"Postgres: {binaries()}")
    except ExternalFailure as error:
        yield Finding("missing", error.message, error.hint or "")


def traefik(settings: Settings) -> Iterator[Finding]:
    from app.adapters.local.traefik import binary

    try:
        yield ok(f"Traefik: {binary()}")
    except ExternalFailure as error:
        yield Finding("missing", error.message, error.hint or "")


def secret_key(settings: Settings) -> Iterator[Finding]:
    if not settings.secret_key and not (settings.home_path / "secret.key").exists():
        yield ok("The secret key will be generated at the first start")
        return
    from app.crypto import load_secret_box

    try:
        load_secret_box(settings)
        yield ok("The secret key")
    except (InvalidInput, OSError) as error:
        yield Finding("missing", f"The secret key: {error}", getattr(error, "hint", "") or "")


def docker(settings: Settings) -> Iterator[Finding]:
    from app.adapters.docker.client import find_client

    try:
        yield ok(f"Docker: {asyncio.run(find_client()).path}")
    except ExternalFailure as error:
        yield Finding(
            "optional",
            f"No Docker: apps with a Dockerfile cannot be built, others can ({error.message})",
            "apt-get install docker.io; then start it: dockerd &",
        )


def node(settings: Settings) -> Iterator[Finding]:
    node_version, npm = _said("node", "--version"), shutil.which("npm")
    if node_version is None or npm is None:
        yield Finding(
            "optional", "No Node: Node apps cannot be built", "apt-get install nodejs npm"
        )
    else:
        yield ok(f"Node {node_version}")


def engines(settings: Settings) -> Iterator[Finding]:
    """Only for `paas up --engine nomad`."""
    from app.engines import install

    for name in ("nomad", "consul"):
        found = install.find(name)
        if found is not None:
            yield ok(f"{name.capitalize()}: {found}")
            continue
        remedy = "paas engine install   (builds it with Go, some minutes)"
        if shutil.which("go") is None:
            remedy = f"Put {name} on PATH; or install Go, and type: paas engine install"
        without = "the embedded engine runs apps, `paas up --engine nomad` cannot"
        yield Finding("optional", f"No {name.capitalize()}: {without}", remedy)
    if not settings.registry and shutil.which("docker-registry") is None:
        without = "apps with a Dockerfile cannot run on Nomad"
        remedy = "apt-get install docker-registry   (or set PAAS_REGISTRY)"
        yield Finding("optional", f"No image registry: {without}", remedy)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    python, git, home, secret_key, ports, postgres, traefik, docker, node, engines,
)  # fmt: skip


def _said(*command: str) -> str | None:
    """The command's first line; None when it is missing or fails."""
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=False, cwd=Path("/")
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.strip().split("\n")[0] if finished.returncode == 0 else None
