"""A real ``paas up`` as a process, on free ports, in a home of its own."""

from __future__ import annotations

import http.client
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import free_port

_PORTS = ("API", "INGRESS", "INGRESS_API", "AGENT", "POSTGRES", "REGISTRY")


@dataclass
class Running:
    """One ``paas up``: its output so far, and its process."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _queue: queue.Queue[str | None] = field(default_factory=queue.Queue)

    def until(self, text: str, seconds: float = 180) -> str:
        """The first further line that holds ``text``."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._queue.get(timeout=max(0.1, deadline - time.monotonic()))
            assert line is not None, f"it ended before it said {text!r}:\n" + "".join(self.lines)
            if text in line:
                return line

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=90)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)


@dataclass
class Home:
    """A home folder and the ports that go with it."""

    folder: Path
    environment: dict[str, str]

    def up(self, *arguments: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "up", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            start_new_session=True,
        )
        running = Running(process)
        threading.Thread(target=running.read, daemon=True).start()
        return running

    def paas(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli.main", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def port(self, name: str) -> int:
        return int(self.environment[f"PAAS_{name}_PORT"])

    def get(self, port: str, path: str = "/", host: str = "") -> tuple[int, str]:
        """Status and body; 0 when nothing answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(port), timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host} if host else {})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def demo(self) -> tuple[int, str]:
        return self.get("INGRESS", host="demo.hello-web-production.apps.localhost")

    def recorded(self, name: str) -> psutil.Process:
        import json

        record = json.loads((self.folder / "run" / f"{name}.json").read_text())
        return psutil.Process(record["pid"])

    def processes(self) -> list[psutil.Process]:
        """Whatever was started with, works in, or was told of this home (or where it links to)."""
        marks = {str(self.folder)}
        marks |= {str(path.resolve()) for path in self.folder.iterdir() if path.is_symlink()}
        return [process for process in psutil.process_iter() if _mentions(process, marks)]


def _mentions(process: psutil.Process, marks: set[str]) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        texts = [process.cwd(), *process.cmdline(), *process.environ().values()]
    except psutil.Error:
        return False
    return any(mark in text for text in texts for mark in marks)


def until(condition: object, seconds: float = 60) -> None:
    """Poll a callable until it is true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """All different: each is held until the last was found."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _three_free_ports() -> int:
    """The first of three in a row."""
    while True:
        first = free_port()
        try:
            with socket.socket() as second, socket.socket() as third:
                second.bind(("127.0.0.1", first + 1))
                third.bind(("127.0.0.1", first + 2))
        except OSError:
            continue
        return first


def _kill_all(home: Home) -> None:
    """Until a look finds none: what supervises may have started another since the last one."""
    while left := home.processes():
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


@contextmanager
def temporary_home(engine: str = "embedded") -> Iterator[Home]:
    """Below a folder that other users may enter; with all that still runs killed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="up-"))
    folder.chmod(0o711)
    ports = {
        f"PAAS_{name}_PORT": str(port)
        for name, port in zip(_PORTS, _free_ports(len(_PORTS)), strict=True)
    }
    ports |= {f"PAAS_{name}_PORT": str(_three_free_ports()) for name in ("NOMAD", "CONSUL")}
    engines_own = ("PAAS_", "NOMAD_", "CONSUL_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(engines_own)}
    home = Home(folder, {**clean, **ports, "PAAS_HOME": str(folder), "PAAS_SCHEDULER": engine})
    try:
        yield home
    finally:
        _kill_all(home)
        for link in folder.iterdir():
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
