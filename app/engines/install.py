"""Finds the engines' binaries, or builds the pinned ones from source into the per-user cache.

A binary on PATH wins, whatever its version. Else Nomad and Consul are built by Go from the modules in
``nomad/engines/``, whose committed ``go.sum`` is what verifies every source. Several processes may ask at
once: one builds, the others wait for it. What is half built never has the final name.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.engines.paths import (
    CONSUL_VERSION,
    NOMAD_VERSION,
    cache_folder,
    configuration_folder,
)
from app.errors import ExternalFailure, PreconditionFailed

Say = Callable[[str], None]

_NEEDED_GB = 8
"""Module sources (3.8 GB), compiled packages and the binaries, while building."""
_SAY_EVERY = 15.0
_PACKAGES = {
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "debootstrap": "debootstrap",
}
"""Program to Debian package."""


@dataclass(frozen=True)
class Engine:
    name: str
    version: str
    module: str
    tags: str = ""

    @property
    def binary(self) -> Path:
        return cache_folder() / "bin" / f"{self.name}-{self.version}"


NOMAD = Engine("nomad", NOMAD_VERSION, "github.com/hashicorp/nomad", tags="ui")
CONSUL = Engine("consul", CONSUL_VERSION, "github.com/hashicorp/consul")
ENGINES = (NOMAD, CONSUL)


def find(name: str) -> Path | None:
    """``nomad`` or ``consul``: the one on PATH, else the one built before; None when there is neither."""
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    engine = next(engine for engine in ENGINES if engine.name == name)
    return engine.binary if os.access(engine.binary, os.X_OK) else None


def install(say: Say, *, keep_modules: bool = False) -> None:
    """Make everything available that ``paas up --engine nomad`` needs, telling ``say`` how it goes.

    Idempotent. Raises PreconditionFailed when something must be done first, ExternalFailure when a build
    or a package manager fails; both say what to type.
    """
    missing = [engine for engine in ENGINES if find(engine.name) is None]
    if missing:
        with _only_one(say):
            _build_missing(missing, say, keep_modules=keep_modules)
    for engine in ENGINES:
        say(f"{engine.name.capitalize()}: {find(engine.name)}")
    _install_packages(say)


def _build_missing(engines: Sequence[Engine], say: Say, *, keep_modules: bool) -> None:
    """Whoever waited for the lock finds the work done."""
    left = [engine for engine in engines if find(engine.name) is None]
    if not left:
        return
    _check_means()
    modules = cache_folder() / "modules"
    try:
        for engine in left:
            _build(engine, modules, say)
    finally:
        if not keep_modules:
            shutil.rmtree(modules, ignore_errors=True)


def _check_means() -> None:
    if shutil.which("go") is None:
        raise PreconditionFailed(
            "Nomad and Consul are not on PATH, and there is no Go to build them with.",
            hint="Put their binaries on PATH; or install Go (https://go.dev/dl) and type this again.",
        )
    cache_folder().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free / 1e9
    if free < _NEEDED_GB:
        raise PreconditionFailed(
            f"Building needs {_NEEDED_GB} GB in {cache_folder()} for a while; {free:.1f} GB are free.",
            hint="Free some, or set XDG_CACHE_HOME to a folder on another disk.",
        )


def _build(engine: Engine, modules: Path, say: Say) -> None:
    source = configuration_folder() / "engines" / engine.name
    environment = {
        **os.environ,
        "GOMODCACHE": str(modules / "mod"),
        "GOCACHE": str(modules / "build"),
        "GOFLAGS": "-mod=readonly -modcacherw",
        "CGO_ENABLED": os.environ.get("CGO_ENABLED", "1"),
    }
    what = f"{engine.name} {engine.version}"
    say(f"Fetching the sources of {what}, for some minutes the first time")
    _go(["go", "mod", "download", "-x"], source, environment, say, what, "requests")
    say(f"Building {what}, about five minutes on two cores")
    engine.binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=engine.binary.parent, prefix=".building-") as folder:
        partial = Path(folder) / engine.name
        tags = ["-tags", engine.tags] if engine.tags else []
        options = ["-v", *tags, "-ldflags", "-checklinkname=0 -s -w", "-o", str(partial)]
        _go(["go", "build", *options, engine.module], source, environment, say, what, "packages")
        partial.replace(engine.binary)
    say(f"Built {engine.binary}")


def _go(
    command: Sequence[str],
    source: Path,
    environment: Mapping[str, str],
    say: Say,
    what: str,
    unit: str,
) -> None:
    """Run it, saying every so often how far it has come. Its own output is kept for a failure."""
    started = said = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=source,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            now = time.monotonic()
            if now - said >= _SAY_EVERY:
                said = now
                say(f"  {what}: {len(lines)} {unit} done, {now - started:.0f} s")
    if process.returncode != 0:
        raise ExternalFailure(
            f"`{' '.join(command[:3])}` failed for {what}:\n{''.join(lines[-15:])}",
            hint="It needs Go 1.21 or newer and the Go module proxy (GOPROXY).",
        )


@contextmanager
def _only_one(say: Say) -> Iterator[None]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another `paas engine install` to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install_packages(say: Say) -> None:
    """Docker and its registry from Debian; elsewhere only said, since images are one kind of app of two."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [
        package for program, package in _PACKAGES.items() if not shutil.which(program, path=path)
    ]
    if not missing:
        say("Docker, registry and debootstrap: installed")
        return
    if os.geteuid() != 0 or not _is_debian():
        say(f"Dockerfile apps also need: {', '.join(missing)}")
        say(f"  On Debian: sudo apt-get install {' '.join(missing)}")
        return
    say(f"Installing {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        finished = subprocess.run(
            ["apt-get", "-q", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise ExternalFailure(
                f"`apt-get {arguments[0]}` failed:\n{(finished.stderr or finished.stdout)[-1500:]}",
                hint=f"Type it yourself to see more: apt-get install {' '.join(missing)}",
            )


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    kinds = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return "debian" in kinds and shutil.which("apt-get") is not None
