"""Starts components one after the other, restarts those that end, and stops all in reverse order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import PaasError
from app.up.children import ChildSpec, Files, end, spawn
from app.up.errors import ChildFailed

Say = Callable[[str], None]

_POLL_SECONDS = 0.05
_BACK_OFF_SECONDS = (0.5, 1, 2, 5, 10, 30)
_STEADY_SECONDS = 60
"""A component that ran this long starts again without delay."""


@dataclass
class _Running:
    spec: ChildSpec
    process: asyncio.subprocess.Process
    keeper: asyncio.Task[None] | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a process is being made, so that a stop never misses a new one."""


class Supervisor:
    """``start`` what is needed, in order; then let them run; ``stop`` once."""

    def __init__(self, files: Files, say: Say) -> None:
        self._files = files
        self._say = say
        self._running: dict[str, _Running] = {}

    async def start(self, spec: ChildSpec) -> None:
        """Returns when it is ready. Raises ChildFailed with the end of its log."""
        self._files.rotate(spec.name)
        began = time.monotonic()
        running = await self._launch(spec)
        await self._until_ready(running)
        running.keeper = asyncio.create_task(self._keep(running), name=f"keep {spec.name}")
        took = time.monotonic() - began
        self._say(f"{spec.title:<12} ready in {took:.1f} s  {spec.detail}".rstrip())

    async def stop(self) -> None:
        """Stop everything, last started first. Cancelling this kills the rest at once."""
        for running in reversed(self._running.values()):
            try:
                await self._stop_one(running)
            except asyncio.CancelledError:
                self._kill_all()
                raise

    def pids(self) -> dict[str, int]:
        return {name: running.process.pid for name, running in self._running.items()}

    async def _launch(self, spec: ChildSpec) -> _Running:
        await spec.before_start()
        try:
            process = await spawn(spec, self._files)
        except OSError as error:
            raise ChildFailed(
                f"{spec.title} cannot be started: {spec.argv[0]}: {error.strerror}.",
                hint="`paas doctor` says what is missing.",
            ) from error
        running = _Running(spec, process)
        self._running[spec.name] = running
        return running

    async def _until_ready(self, running: _Running) -> None:
        spec = running.spec
        deadline = time.monotonic() + spec.start_seconds
        while not await spec.ready():
            if running.process.returncode is not None:
                raise self._failed(spec, f"ended with {_how(running.process.returncode)}")
            if time.monotonic() > deadline:
                raise self._failed(spec, f"was not ready within {spec.start_seconds:.0f} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def _keep(self, running: _Running) -> None:
        """Restart the component whenever it ends, more slowly each time that it ends soon."""
        spec, failures = running.spec, 0
        while True:
            began = time.monotonic()
            code = await running.process.wait()
            failures = 0 if time.monotonic() - began > _STEADY_SECONDS else failures + 1
            delay = _BACK_OFF_SECONDS[min(failures, len(_BACK_OFF_SECONDS)) - 1] if failures else 0
            self._say(
                f"{spec.title} ended with {_how(code)}; restarting in {delay:g} s. "
                f"Log: {self._files.log(spec.name)}"
            )
            await asyncio.sleep(delay)
            try:
                async with running.starting:
                    await spec.before_start()
                    running.process = await spawn(spec, self._files)
                await self._until_ready(running)
            except (ChildFailed, OSError) as error:
                self._say(f"{error}")
            else:
                self._say(f"{spec.title} is back.")

    async def _stop_one(self, running: _Running) -> None:
        spec = running.spec
        if running.keeper is not None:
            async with running.starting:
                running.keeper.cancel()
            await asyncio.wait([running.keeper])
        if running.process.returncode is None:
            try:
                await spec.before_stop()
            except PaasError as error:
                self._say(f"{spec.title}: {error.message}")
        if not await end(running.process, spec, self._files):
            self._say(f"{spec.title} did not stop within {spec.stop_seconds:g} s and was killed.")

    def _kill_all(self) -> None:
        for running in self._running.values():
            if running.process.returncode is None:
                running.process.kill()

    def _failed(self, spec: ChildSpec, how: str) -> ChildFailed:
        log = self._files.log(spec.name)
        tail = self._files.tail(spec.name)
        lines = "\n".join(f"    {line}" for line in tail.splitlines()) or "    (it wrote nothing)"
        return ChildFailed(
            f"{spec.title} {how}. The end of its log:\n{lines}", hint=f"The whole log: {log}"
        )


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
