"""A machine for tests: a real agent in a process of its own, and a real Traefik when asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from app.adapters.local import traefik
from app.adapters.local.scheduler import LocalScheduler
from app.settings import Settings
from jobs import Artifact
from tests.conftest import free_port
from tests.contract.world import pack_sample_app

AGENT = [sys.executable, "-m", "app.agent"]
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Machine:
    settings: Settings
    scheduler: LocalScheduler
    agent: subprocess.Popen[bytes] | None = None
    traefik: subprocess.Popen[bytes] | None = None
    _slugs: dict[Path, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.settings.home_path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PAAS_HOME": self.settings.home,
            "PAAS_AGENT_PORT": str(self.settings.agent_port),
            "PAAS_INGRESS_API_PORT": str(self.settings.ingress_api_port),
            "PAAS_LOG_LEVEL": "DEBUG",
        }

    @property
    def ingress(self) -> str:
        return f"http://127.0.0.1:{self.settings.ingress_port}"

    async def start_agent(self) -> None:
        self.agent = _spawn(AGENT, self.home / "agent.log", self.environment)
        await until(self._answers, "the agent answers")

    async def start_traefik(self) -> None:
        self.traefik = _spawn(
            traefik.command(self.settings), self.home / "traefik.log", {"PATH": os.environ["PATH"]}
        )

    def kill_agent(self) -> None:
        """As a crash would: no handler runs."""
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait(10)

    def end_agent(self) -> None:
        """As an upgrade would: it goes and leaves the apps running."""
        assert self.agent is not None
        self.agent.send_signal(signal.SIGTERM)
        assert self.agent.wait(20) == 0

    def slug(self, source: Path, command: str) -> Artifact:
        """A folder as a slug in the platform's own store on this machine."""
        if source not in self._slugs:
            archive = self.home / "packed"
            digest = pack_sample_app(archive)
            stored = self.home / "slugs" / digest[:2] / f"{digest}.tar.gz"
            stored.parent.mkdir(parents=True, exist_ok=True)
            archive.rename(stored)
            self._slugs[source] = digest
        digest = self._slugs[source]
        url = f"http://127.0.0.1:9/slugs/{digest}"
        return Artifact(kind="slug", reference=url, sha256=digest, command=command)

    def app_processes(self) -> list[psutil.Process]:
        """Every process that a copy of this machine's agent started, whatever became of its session."""
        mine = str((self.home / "apps").resolve())
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("NOMAD_ALLOC_DIR", "").startswith(mine):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def app_sessions(self) -> set[int]:
        """One for each copy that runs, however many processes it is made of."""
        return {os.getsid(process.pid) for process in self.app_processes()}

    async def _answers(self) -> bool:
        assert self.agent is not None
        assert self.agent.poll() is None, (self.home / "agent.log").read_text()[-2000:]
        if not (self.home / "agent" / "agent.sock").exists():
            return False
        await self.scheduler.list_jobs()
        return True


async def until(met: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 30) -> None:
    """Ask again and again, without a fixed wait. The last failure is the reason when time is up."""
    deadline = time.monotonic() + seconds
    reason: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if await met():
                return
        except OSError as error:
            reason = error
        except Exception as error:  # noqa: BLE001 - kept, and raised at the deadline
            reason = error
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}") from reason


@asynccontextmanager
async def running_machine(
    *, with_traefik: bool = False, home_mode: int = 0o711
) -> AsyncIterator[Machine]:
    """Ends with no process left, whatever the test did. In a folder of its own: pytest closes its
    temporary folders to other users when another run starts, and as root apps run as another user."""
    with tempfile.TemporaryDirectory(prefix="paas-test-machine-") as folder:
        Path(folder).chmod(home_mode)
        settings = Settings(
            home=folder,
            agent_port=free_port(),
            ingress_port=free_port(),
            ingress_api_port=free_port(),
        )
        machine = Machine(settings, LocalScheduler(settings))
        try:
            await machine.start_agent()
            if with_traefik:
                await machine.start_traefik()
            yield machine
            await machine.scheduler.shutdown()
        finally:
            await machine.scheduler.close()
            for child in (machine.agent, machine.traefik):
                if child is not None and child.poll() is None:
                    child.terminate()
                    child.wait(20)
            left = machine.app_processes()
            for process in left:
                process.kill()
        assert not left, f"left running: {left}"


def _spawn(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=_REPOSITORY,
            start_new_session=True,
        )
