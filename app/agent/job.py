"""One job: rolling a document out as a story, and keeping the wanted number of copies.

``_converge`` is started anew at each change of what is wanted and after a restart of the agent. Each
step first looks at what already is, so that it may be cut off anywhere and begun again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import uuid4

from app.agent.copies import Copy
from app.agent.driver import Driver
from app.agent.records import CopyRecord, JobRecord, RolloutRecord
from app.agent.router import Router
from app.agent.routing import Backend
from app.agent.signals import Changes, background
from app.agent.spec import Document, JobSpec, parse
from app.agent.store import Store
from app.errors import ExternalFailure
from app.ports.scheduler import JobRef, RolloutStatus

logger = logging.getLogger(__name__)


class RolloutFailed(Exception):
    """The new copies are no good; the message says why, for people."""


@dataclass
class Machine:
    """What all jobs of this machine share."""

    store: Store
    drivers: dict[str, Driver]
    router: Router
    changes: Changes
    """Bumped when anything of any job changed: there may be room now."""
    publish: Callable[[], None]
    settle_port: Callable[[int], int]
    """The same port if nothing has it, else another; 0 asks for any."""
    lacks: Callable[[JobSpec, int], list[str]]
    """Why so many more copies of the job find no room, in words."""
    forget: Callable[[JobRef], None]


class JobRunner:
    def __init__(self, machine: Machine, record: JobRecord) -> None:
        self.record = record
        self.copies: dict[str, Copy] = {}
        self.changes = Changes(machine.changes.number)
        """Never counts what an earlier job of this name counted: a cursor is not given twice."""
        self.lacking: list[str] = []
        self._machine = machine
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def ref(self) -> JobRef:
        return JobRef(self.record.namespace, self.record.id)

    @property
    def exists(self) -> bool:
        """False while the last of a purged job is being stopped."""
        return not self.record.purging

    # What is wanted

    def want(self, spec: JobSpec, index: int) -> None:
        """Roll this document out."""
        record = self.record
        for copy in [copy for copy in self.copies.values() if copy.record.ended]:
            self._bury(copy)
        record.document, record.modify_index = spec.document, index
        record.stopped = record.purging = False
        record.rollout = RolloutRecord(release_id=spec.release_id, desired=spec.count)
        self._reconsider()

    def unwant(self, index: int, *, purge: bool) -> None:
        record = self.record
        record.modify_index, record.stopped = index, True
        if record.rollout is not None and record.rollout.status == RolloutStatus.RUNNING:
            record.rollout.status = RolloutStatus.FAILED
            record.rollout.message = "The job was stopped."
        record.purging = record.purging or purge
        self._reconsider()

    def resume(self) -> None:
        """Go on after a restart of the agent; the surviving copies are in ``copies``."""
        for copy in self.copies.values():
            if copy.record.stopping:
                self._let_go(copy)
        rollout = self.record.rollout
        if rollout is not None:
            rollout.deadline = 0.0
        self._converge_anew()

    async def detach(self) -> None:
        """Stop deciding; every copy goes on running."""
        for task in (self._task, *self._leaving):
            if task is not None:
                task.cancel()
        for copy in self.copies.values():
            copy.detach()

    async def stop_copies(self) -> None:
        """Stop everything that runs and forget it, but keep what is wanted for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.gather(*(copy.stop(drain=False) for copy in self._alive()))
        if self._leaving:
            await asyncio.wait(self._leaving)
        for copy in list(self.copies.values()):
            self._bury(copy)

    def adopt(self, record: CopyRecord, document: Document) -> Copy:
        """Know a copy that an earlier agent recorded."""
        spec = parse(document)
        machine = self._machine
        driver = machine.drivers[spec.driver]
        copy = Copy(record, spec, driver, machine.store, machine.settle_port, self._changed)
        self.copies[record.id] = copy
        return copy

    def backend(self) -> Backend | None:
        """Where the router may send this job's requests; None when it was to forget the job.

        While copies of two releases are routed the tags of both count: their routers have other names
        when their hostnames differ.
        """
        routed = [copy for copy in self._alive() if copy.record.routed and copy.spec.service]
        if not routed:
            return None
        tags = dict.fromkeys(tag for copy in routed for tag in copy.spec.tags)
        healthy = [copy.address for copy in routed if copy.record.healthy]
        return Backend(routed[0].spec.service, tuple(tags), tuple(sorted(healthy)))

    def count_of(self, spec: JobSpec) -> int:
        """How many of its living copies would do for this document."""
        return len(self._copies_of(spec))

    def memory_promised(self) -> int:
        """MB that its copies may use."""
        return sum(c.spec.memory_mb for c in self.copies.values() if not c.record.ended)

    # Converging

    def _reconsider(self) -> None:
        self._machine.store.save_job(self.record)
        self._converge_anew()
        self._changed()

    def _converge_anew(self) -> None:
        previous = self._task
        if previous is not None:
            previous.cancel()
        self._task = background(self._converge(previous), f"job {self.ref}")

    async def _converge(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        self.lacking = []
        record = self.record
        if record.stopped:
            await self._wind_down()
        elif record.rollout and record.rollout.status == RolloutStatus.RUNNING:
            await self._roll_out(parse(record.document), record.rollout)
        elif record.stable is not None:
            self._keep(parse(record.stable))

    async def _roll_out(self, spec: JobSpec, rollout: RolloutRecord) -> None:
        try:
            self._begin(spec, rollout)
            fresh = await self._start_copies(spec, rollout)
            await self._until_healthy(spec, fresh, rollout)
            await self._take_over(spec, fresh)
        except (RolloutFailed, ExternalFailure, OSError) as failure:
            self._fall_back(spec, rollout, str(failure))
        else:
            self._succeed(spec, fresh, rollout)

    def _begin(self, spec: JobSpec, rollout: RolloutRecord) -> None:
        """What neither serves nor belongs to this release is of no use to anybody."""
        for copy in self._alive():
            if copy.spec.fingerprint != spec.fingerprint and not copy.record.routed:
                self._let_go(copy)
        if not rollout.deadline:
            rollout.deadline = time.time() + spec.update.healthy_deadline
            self._machine.store.save_job(self.record)

    async def _start_copies(self, spec: JobSpec, rollout: RolloutRecord) -> list[Copy]:
        """The copies of this release: those that are, and as many more as are wanted, once there is room."""
        mine = self._copies_of(spec)[: spec.count]
        missing = spec.count - len(mine)
        while lacking := self._machine.lacks(spec, missing):
            seen = self._machine.changes.number
            if lacking != self.lacking:
                self.lacking = lacking
                self._changed()
                seen = self._machine.changes.number
            await self._machine.changes.wait(seen, rollout.deadline - time.time())
            if time.time() >= rollout.deadline:
                raise RolloutFailed("; ".join(lacking))
        self.lacking = []
        for copy in mine:
            copy.refit(spec)
        return mine + [self._create(spec, probation=True) for _ in range(missing)]

    async def _until_healthy(
        self, spec: JobSpec, fresh: list[Copy], rollout: RolloutRecord
    ) -> None:
        """Raises RolloutFailed as soon as one copy has failed, or at the deadline."""
        gone = [copy for copy in self.copies.values() if self._failed_in_rollout(copy, spec)]
        while True:
            seen = self.changes.number
            failed = next((copy for copy in (*gone, *fresh) if copy.record.ended), None)
            if failed is not None:
                raise RolloutFailed(failed.record.message)
            now = time.monotonic()
            since = [copy.healthy_since for copy in fresh]
            waits = [
                spec.update.min_healthy - (now - began) for began in since if began is not None
            ]
            if len(waits) == len(fresh) and max(waits, default=0.0) <= 0:
                return
            left = rollout.deadline - time.time()
            if left <= 0 and len(waits) < len(fresh):
                raise RolloutFailed(_why_unhealthy(fresh, spec))
            steady = max(waits) if waits and len(waits) == len(fresh) else left
            await self.changes.wait(seen, max(steady, 0.0))

    async def _take_over(self, spec: JobSpec, fresh: list[Copy]) -> None:
        """Give the router the new copies, and when it has them, take the old ones away."""
        others = [copy for copy in self._alive() if copy not in fresh]
        self._route(fresh, True)
        if not await self._confirmed(spec, lambda servers: self._healthy(fresh) <= servers):
            raise RolloutFailed("The router did not take up the new copies; see Traefik's log.")
        self._dismiss(others)
        await self._confirmed(spec, lambda servers: servers <= self._addresses(fresh))

    def _succeed(self, spec: JobSpec, fresh: list[Copy], rollout: RolloutRecord) -> None:
        for copy in fresh:
            copy.graduate()
        rollout.status, rollout.message = RolloutStatus.SUCCEEDED, ""
        self.record.stable = spec.document
        self._machine.store.save_job(self.record)
        self._changed()

    def _fall_back(self, spec: JobSpec, rollout: RolloutRecord, why: str) -> None:
        """Back to the last document that succeeded, whose copies serve all along; else to nothing."""
        logger.info("rollout of %s in %s failed: %s", rollout.release_id, self.ref, why)
        rollout.status, rollout.message = RolloutStatus.FAILED, why
        record = self.record
        keep: list[Copy] = []
        if record.stable is not None:
            stable = parse(record.stable)
            record.document = record.stable
            record.modify_index = self._machine.store.next_index()
            keep = self._copies_of(stable)[: stable.count]
        self._machine.store.save_job(record)
        self._dismiss([copy for copy in self._alive() if copy not in keep], remember=True)
        if record.stable is not None:
            self._keep(parse(record.stable))

    def _keep(self, spec: JobSpec) -> None:
        """As many copies as are wanted, routed as they become healthy. Each restarts by itself."""
        mine = self._copies_of(spec)[: spec.count]
        surplus = [copy for copy in self._alive() if copy not in mine]
        for copy in mine:
            copy.refit(spec)
            copy.graduate()
        while len(mine) < spec.count:
            mine.append(self._create(spec, probation=False))
        self._route(mine, True)
        self._dismiss(surplus)

    async def _wind_down(self) -> None:
        self._dismiss(self._alive())
        if self._leaving:
            await asyncio.wait(self._leaving)
        for copy in list(self.copies.values()):
            self._bury(copy)
        if self.record.purging:
            self._machine.store.delete_job(self.record)
            self._machine.forget(self.ref)
        self._changed()

    # Copies

    def _create(self, spec: JobSpec, *, probation: bool) -> Copy:
        taken = {copy.record.index for copy in self._copies_of(spec)}
        record = CopyRecord(
            id=str(uuid4()),
            namespace=self.record.namespace,
            job=self.record.id,
            index=next(number for number in range(len(taken) + 1) if number not in taken),
            release_id=spec.release_id,
            fingerprint=spec.fingerprint,
            driver=spec.driver,
            port=self._machine.settle_port(0),
            probation=probation,
        )
        self._machine.store.create_copy(record, spec.document)
        copy = self.adopt(record, spec.document)
        copy.start()
        self._changed()
        return copy

    def _dismiss(self, copies: Iterable[Copy], *, remember: bool = False) -> None:
        for copy in copies:
            self._let_go(copy, remember=remember)
        self._changed()

    def _let_go(self, copy: Copy, *, remember: bool = False) -> None:
        """Stop a copy in the background, once the router has forgotten it; ``remember`` keeps its record
        and last lines for an explanation."""
        drain = copy.leave()

        async def stop() -> None:
            if drain:
                await self._confirmed(copy.spec, lambda servers: copy.address not in servers)
            await copy.stop(drain=drain)
            if not remember:
                self._bury(copy)

        task = background(stop(), f"let go {copy.record.id}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _bury(self, copy: Copy) -> None:
        self.copies.pop(copy.record.id, None)
        self._machine.store.delete_copy(copy.record.id)
        self._changed()

    def _alive(self) -> list[Copy]:
        return [copy for copy in self.copies.values() if copy.alive]

    def _copies_of(self, spec: JobSpec) -> list[Copy]:
        """Living ones, those that serve first: they are the ones to keep."""
        mine = [copy for copy in self._alive() if copy.spec.fingerprint == spec.fingerprint]
        return sorted(
            mine, key=lambda c: (not c.record.routed, not c.record.healthy, c.record.index)
        )

    def _failed_in_rollout(self, copy: Copy, spec: JobSpec) -> bool:
        record = copy.record
        return record.ended and record.probation and copy.spec.fingerprint == spec.fingerprint

    def _route(self, copies: Iterable[Copy], routed: bool) -> None:
        for copy in copies:
            copy.set_routed(routed)
        self._machine.publish()

    async def _confirmed(self, spec: JobSpec, taken_up: Callable[[set[str]], bool]) -> bool:
        if "traefik.enable=true" not in spec.tags:
            return True
        return await self._machine.router.confirm(spec.service, taken_up)

    def _healthy(self, copies: list[Copy]) -> set[str]:
        return {copy.address for copy in copies if copy.record.healthy}

    def _addresses(self, copies: list[Copy]) -> set[str]:
        return {copy.address for copy in copies}

    def _changed(self) -> None:
        self.changes.bump()
        self._machine.changes.bump()
        self._machine.publish()


def _why_unhealthy(fresh: list[Copy], spec: JobSpec) -> str:
    worst = next(copy for copy in fresh if copy.healthy_since is None)
    reason = worst.record.message or "it was not started"
    return f"A new copy was not healthy within {spec.update.healthy_deadline:g} s: {reason}."
