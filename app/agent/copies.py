"""One copy of an app from start to end: run it, check it, restart it with back-off, stop it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.agent.checks import probe
from app.agent.driver import Driver, Exit, Handle, StartFailed
from app.agent.records import CopyRecord
from app.agent.signals import background
from app.agent.spec import Check, JobSpec
from app.agent.store import Store
from app.errors import ExternalFailure
from app.ports.scheduler import Allocation, AllocationState
from jobs.render import SECRETS_MARK

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_EAGER_SECONDS = 0.1
"""Between probes of a copy that has yet to answer; the check's own interval is for one that did."""
_EAGER_PROBES = 100
_LONGEST_BACK_OFF = 60.0
_STEADY_SECONDS = 60.0
"""A copy that ran this long is restarted as if it had never crashed."""


class Copy:
    """``changed`` is called whenever anything that an observer or the router may see did."""

    def __init__(
        self,
        record: CopyRecord,
        spec: JobSpec,
        driver: Driver,
        store: Store,
        settle_port: Callable[[int], int],
        changed: Callable[[], None],
    ) -> None:
        self.record = record
        self.spec = spec
        self.healthy_since: float | None = None
        """Monotonic; None while it is not healthy."""
        self._driver = driver
        self._store = store
        self._settle_port = settle_port
        self._changed = changed
        self._handle: Handle | None = None
        self._consumed: tuple[Handle, float, float] | None = None
        """Of which run, when (monotonic), and the seconds of CPU that it had used by then."""
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._was_healthy = record.healthy
        self._crashes = record.restarts if record.probation else 0

    @property
    def address(self) -> str:
        return f"{HOST}:{self.record.port}"

    @property
    def alive(self) -> bool:
        """It runs, or will again."""
        return not (self.record.stopping or self.record.ended)

    def start(self) -> None:
        self._task = background(self._run(None), f"copy {self.record.id}")

    async def adopt(self) -> bool:
        """Take over what an earlier agent left running. False when it is gone; then it may be started."""
        handle = await self._driver.adopt(self.record, self.spec)
        if handle is None:
            return False
        if self.record.healthy:
            self.healthy_since = time.monotonic()
        self._handle = handle
        self._task = background(self._run(handle), f"copy {self.record.id}")
        return True

    def detach(self) -> None:
        """Stop watching and let it run: the next agent adopts it."""
        for task in (self._task, self._stopping):
            if task is not None:
                task.cancel()

    def revive(self) -> None:
        """Start again what ended while no agent was there to see it."""
        self._note(
            restarts=self.record.restarts + 1,
            healthy=False,
            listening=False,
            exit_code=None,
            message="The app's process ended while the engine was away.",
        )
        self.start()

    def leave(self) -> bool:
        """It is to be stopped and counts no more. Returns whether it may still be serving requests."""
        serving = self.record.routed or self.record.healthy
        self._note(stopping=True, routed=False)
        return serving

    async def stop(self, *, drain: bool) -> None:
        """Stop for good. ``drain``: first give requests under way the job's shutdown delay."""
        if self._stopping is None:
            self._stopping = background(self._stop(drain), f"stop {self.record.id}")
        await asyncio.shield(self._stopping)

    def graduate(self) -> None:
        """The rollout that it belongs to succeeded: from now on it is restarted for ever."""
        self.record.probation = False
        self._crashes = 0
        self._save()

    async def usage(self) -> tuple[int, int] | None:
        """Thousandths of a CPU since it was last asked for, and bytes of memory; None when not running."""
        handle = self._handle
        if handle is None or handle.exited.done():
            return None
        now, seen = time.monotonic(), await handle.consumption()
        if seen is None:
            return None
        before, self._consumed = self._consumed, (handle, now, seen.cpu_seconds)
        if before is None or before[0] is not handle or now <= before[1]:
            return 0, seen.memory_bytes
        share = max(0.0, seen.cpu_seconds - before[2]) / (now - before[1])
        return round(share * 1000), seen.memory_bytes

    def refit(self, spec: JobSpec) -> None:
        """Take policies and tags from another document of the same fingerprint."""
        self.spec = spec
        self._store.save_copy_document(self.record.id, spec.document)

    def set_routed(self, routed: bool) -> None:
        if self.record.routed != routed:
            self.record.routed = routed
            self._save()

    async def log_tail(self, lines: int) -> list[str]:
        return list(await self._driver.log_tail(self.record, lines))

    def describe(self) -> Allocation:
        record = self.record
        return Allocation(
            id=record.id,
            name=f"{record.job}.{self.spec.group}[{record.index}]",
            release_id=record.release_id,
            state=self._state(),
            healthy=record.healthy and self.alive,
            restarts=record.restarts,
            started_at=record.started_at,
            exit_code=record.exit_code,
            oom_killed=record.oom_killed,
            listening=record.listening,
            message=record.message,
            address=self.address,
        )

    def _state(self) -> AllocationState:
        if self.record.ended:
            return AllocationState.EXITED
        if self._handle is None:
            return AllocationState.PENDING
        if self._was_healthy and not self.record.healthy and not self.record.stopping:
            return AllocationState.UNHEALTHY
        return AllocationState.RUNNING

    # Running

    async def _run(self, handle: Handle | None) -> None:
        while True:
            began = time.monotonic()
            permanent = False
            try:
                handle = handle or await self._launch()
            except StartFailed as failure:
                self._note(message=str(failure))
                permanent = failure.permanent
            else:
                self._ended(await self._attend(handle))
            handle = None
            if self.record.stopping:
                return
            if time.monotonic() - began > _STEADY_SECONDS:
                self._crashes = 0
            self._crashes += 1
            if self.record.probation and (permanent or self._crashes > self.spec.restart.attempts):
                await self._driver.remove(self.record)
                self._note(ended=True)
                return
            await asyncio.sleep(self._back_off())
            if self.record.stopping:
                return
            self._note(restarts=self.record.restarts + 1)

    async def _launch(self) -> Handle:
        values: dict[str, str] = {}
        for path in self.spec.secret_paths:
            found = self._store.secrets(self.spec.ref, path)
            if found is None:
                raise StartFailed(f"The variables {path} are not here.", permanent=True)
            values |= found
        values.pop(SECRETS_MARK, None)
        try:
            self.record.port = self._settle_port(self.record.port)
        except ExternalFailure as failure:
            raise StartFailed(failure.message) from failure
        handle = await self._driver.start(self.record, self.spec, values)
        self._note(started_at=datetime.now(UTC), listening=None)
        return handle

    async def _attend(self, handle: Handle) -> Exit:
        self._handle = handle
        self._changed()
        checking = background(self._check_for_ever(), f"check {self.record.id}")
        try:
            return await asyncio.shield(handle.exited)
        finally:
            checking.cancel()
            self._handle = None

    def _ended(self, exit: Exit) -> None:
        self.healthy_since = None
        self._note(
            healthy=False,
            listening=False,
            exit_code=exit.code,
            oom_killed=exit.oom_killed,
            **({} if self.record.stopping else {"message": self._explain(exit)}),
        )

    def _explain(self, exit: Exit) -> str:
        if exit.oom_killed:
            return f"The app used more than its {self.spec.memory_mb} MB of memory and was killed."
        if exit.code is None:
            return "The app's process ended while the engine was away."
        if exit.code > 128:
            return f"The app's process was ended by signal {exit.code - 128}."
        return f"The app's process exited with code {exit.code}."

    def _back_off(self) -> float:
        delay = self.spec.restart.delay
        if self.record.probation:
            return delay
        return float(min(_LONGEST_BACK_OFF, delay * 2 ** min(self._crashes - 1, 10)))

    # Checking

    async def _check_for_ever(self) -> None:
        failures = probes = 0
        while True:
            check = self.spec.check
            if check is None:
                self._set_health(True, None, "")
                return
            failures = await self._check_once(check, failures)
            probes = 0 if self.record.healthy else probes + 1
            eager = not self.record.healthy and probes < _EAGER_PROBES
            await asyncio.sleep(min(check.interval, _EAGER_SECONDS) if eager else check.interval)

    async def _check_once(self, check: Check, failures: int) -> int:
        """Returns the failures in a row. A copy that stops listening is out at once; one that is slow
        to answer only after several, since a machine under load makes every copy slow."""
        behind_proxy = self.spec.driver == "docker"
        result = await probe(check, HOST, self.record.port, behind_proxy=behind_proxy)
        if result.passed:
            self._set_health(True, True, "")
            return 0
        failures += 1
        lasting = not result.listening or failures >= check.failures_before_unhealthy
        if lasting or not self.record.healthy:
            self._set_health(False, result.listening, result.message)
        return failures

    def _set_health(self, healthy: bool, listening: bool | None, message: str) -> None:
        record = self.record
        if self.record.stopping:
            return
        if healthy and self.healthy_since is None:
            self.healthy_since = time.monotonic()
        if not healthy:
            self.healthy_since = None
        self._was_healthy = self._was_healthy or healthy
        if healthy and record.exit_code is not None:
            self._note(exit_code=None, oom_killed=False)
        if (record.healthy, record.listening, record.message) != (healthy, listening, message):
            self._note(healthy=healthy, listening=listening, message=message)

    # Stopping

    async def _stop(self, drain: bool) -> None:
        self._note(stopping=True)
        handle = self._handle
        if handle is not None:
            if drain and self.spec.shutdown_delay > 0:
                await asyncio.wait([handle.exited], timeout=self.spec.shutdown_delay)
            await handle.stop(self.spec.kill_signal, self.spec.kill_timeout)
        if self._task is not None:
            if handle is None:
                self._task.cancel()
            await asyncio.wait([self._task])
        await self._driver.remove(self.record)
        self._note(ended=True, healthy=False, routed=False)

    def _note(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self.record, name, value)
        self._save()
        self._changed()

    def _save(self) -> None:
        """A full disk must not end the supervision: what is noted is only read by the next agent."""
        try:
            self._store.save_copy(self.record)
        except OSError as error:
            logger.error("the state of copy %s cannot be noted: %s", self.record.id, error)
