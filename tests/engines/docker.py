"""A real Docker engine for tests marked ``docker``: started when we may, shared by test runs, stopped by the last.

Import the fixtures into a ``conftest.py``: ``from tests.engines.docker import docker_engine, image_registry``.
Where the engine cannot be had the test is skipped and says why; in CI (``CI`` set) that is a failure.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Never

import pytest

CACHE = Path.home() / ".cache" / "paas"
SOCKET = Path("/var/run/docker.sock")
BASE_IMAGE = "paas-test/python:bookworm"
"""Debian with python3, made by debootstrap: what the tests' Dockerfiles name in FROM."""
_BASE_PACKAGES = "python3,ca-certificates"
_START_SECONDS = 60


@dataclass(frozen=True)
class DockerEngine:
    cli: str
    base_image: str = BASE_IMAGE

    def run(self, *arguments: str) -> str:
        """``docker …``; raises CalledProcessError with the output."""
        finished = subprocess.run(
            [self.cli, *arguments], check=True, capture_output=True, text=True, timeout=300
        )
        return finished.stdout.strip()


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    with running_engine() as engine:
        yield engine


@contextmanager
def running_engine() -> Iterator[DockerEngine]:
    """A Docker engine that answers and holds ``BASE_IMAGE``."""
    cli = _client()
    if cli is None:
        unavailable("no docker client is installed: apt-get install docker.io")
    with _shared_engine(cli):
        _ensure_base_image(cli)
        yield DockerEngine(cli)


@pytest.fixture(scope="session")
def image_registry(docker_engine: DockerEngine) -> Iterator[str]:
    """``127.0.0.1:port`` of an empty registry (Debian's ``docker-registry``), plain HTTP."""
    program = shutil.which("docker-registry")
    if program is None:
        unavailable("no image registry is installed: apt-get install docker-registry")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paas-registry-")))
        port = _free_port()
        configuration = folder / "config.yml"
        configuration.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: '127.0.0.1:{port}'}}\n"
        )
        log = stack.enter_context((folder / "out.log").open("wb"))
        process = subprocess.Popen([program, "serve", configuration], stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        _wait_until(lambda: _answers_http(f"http://127.0.0.1:{port}/v2/"), "the image registry")
        yield f"127.0.0.1:{port}"


def unavailable(reason: str) -> Never:
    """Skip the test, or fail it where every engine is required."""
    if os.environ.get("CI"):
        pytest.fail(f"Docker is required here: {reason}")
    pytest.skip(f"Docker is not available: {reason}")


def _client() -> str | None:
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker")


def _answers(cli: str) -> bool:
    command = [cli, "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def _shared_engine(cli: str) -> Iterator[None]:
    """Every test run holds a shared lock while it uses the engine; who starts it notes its pid, and
    whoever finds at its end that nobody else holds the lock stops what was started."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (
        (CACHE / "dockerd.start").open("w") as starting,
        (CACHE / "dockerd.users").open("w") as users,
    ):
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if not _answers(cli):
            _start(cli)
        fcntl.flock(starting, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if _is_last(users):
                _stop_ours()


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(cli: str) -> None:
    daemon = shutil.which("dockerd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
    if daemon is None:
        unavailable("dockerd is not installed: apt-get install docker.io")
    if os.geteuid() != 0:
        unavailable("no engine answers, and only root can start one")
    log = (CACHE / "dockerd.log").open("wb")
    process = subprocess.Popen(
        [daemon, "-H", f"unix://{SOCKET}"],
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    _pid_file().write_text(str(process.pid))
    try:
        _wait_until(lambda: _answers(cli), "dockerd", process)
    except TimeoutError as error:
        unavailable(f"{error}; its log is {CACHE}/dockerd.log")


def _pid_file() -> Path:
    return CACHE / "dockerd.pid"


def _stop_ours() -> None:
    try:
        pid = int(_pid_file().read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ValueError):
        return
    _pid_file().unlink(missing_ok=True)
    if b"dockerd" in command:
        os.kill(pid, 15)
        _wait_until(lambda: _is_gone(pid), "the end of dockerd")
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _is_gone(pid: int) -> bool:
    """Ended; a child of ours stays a zombie until it is waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _ensure_base_image(cli: str) -> None:
    with (CACHE / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if subprocess.run([cli, "image", "inspect", BASE_IMAGE], capture_output=True).returncode:
            archive = CACHE / "images" / "paas-test-python-bookworm.tar"
            if not archive.exists():
                _bootstrap(archive)
            subprocess.run([cli, "import", archive, BASE_IMAGE], check=True, capture_output=True)


def _bootstrap(archive: Path) -> None:
    """About a minute, once a machine."""
    program = shutil.which("debootstrap", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
    if program is None or os.geteuid() != 0:
        unavailable("the base image is made by debootstrap, as root: apt-get install debootstrap")
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial")
    with tempfile.TemporaryDirectory(prefix="paas-base-image-") as folder:
        command = [program, "--variant=minbase", f"--include={_BASE_PACKAGES}", "bookworm", folder]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            unavailable(f"debootstrap failed: {made.stdout[-500:]}{made.stderr[-500:]}")
        shutil.rmtree(Path(folder) / "var" / "cache" / "apt", ignore_errors=True)
        shutil.rmtree(Path(folder) / "var" / "lib" / "apt" / "lists", ignore_errors=True)
        subprocess.run(["tar", "-C", folder, "-cf", partial, "."], check=True)
    partial.rename(archive)


def _wait_until(
    condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if process is not None and process.poll() is not None:
            raise TimeoutError(f"{what} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {_START_SECONDS} s")
        time.sleep(0.1)


def _answers_http(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
