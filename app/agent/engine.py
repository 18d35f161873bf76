"""Every job of this machine: what the ``Scheduler`` port asks, answered from memory and kept on disk."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping

import psutil

from app.agent import sessions
from app.agent.docker import DockerDriver
from app.agent.follow import Ending, frames
from app.agent.job import JobRunner, Machine
from app.agent.plan import changes
from app.agent.ports import Ports
from app.agent.process import ProcessDriver
from app.agent.records import CopyRecord, JobRecord
from app.agent.router import Router
from app.agent.routing import Backend
from app.agent.signals import Changes
from app.agent.slugs import SlugCache
from app.agent.spec import Document, JobSpec, parse
from app.agent.store import Store
from app.agent.user import AppUser
from app.errors import NotFound
from app.growth import Growth
from app.ports.ingress import Route
from app.ports.scheduler import (
    CopySummary,
    CopyUsage,
    JobConflict,
    JobPlan,
    JobRef,
    JobSummary,
    Observation,
    Output,
    Rollout,
    RolloutStatus,
    SchedulerRejected,
)
from jobs import Capabilities

logger = logging.getLogger(__name__)

_LIMITS_SECONDS = 0.5
_OUTPUT_SECONDS = 0.015
"""Between two looks whether copies wrote anything, while somebody follows it."""


class Engine:
    def __init__(
        self,
        store: Store,
        slugs: SlugCache,
        router: Router,
        user: AppUser | None,
        docker: DockerDriver,
        *,
        memory_mb: int | None = None,
    ) -> None:
        """``memory_mb``: what all apps together may be promised; default: the machine's."""
        self.router = router
        self._store = store
        self._slugs = slugs
        self._docker = docker
        self._processes = ProcessDriver(store, slugs, user)
        self._jobs: dict[JobRef, JobRunner] = {}
        self._ports = Ports()
        self._memory_mb = memory_mb or psutil.virtual_memory().total >> 20
        self._unreadable: set[JobRef] = set()
        self._run = secrets.token_hex(4)
        self._limits: asyncio.Task[None] | None = None
        self._growth = Growth(_OUTPUT_SECONDS)
        self._leaving = False
        self._machine = Machine(
            store=store,
            drivers={"process": self._processes, "docker": docker},
            router=router,
            changes=Changes(),
            publish=self._publish,
            settle_port=self._settle_port,
            lacks=self._lacks,
            forget=self._forget,
        )

    # From start to end

    async def start(self) -> None:
        """Know again what an earlier agent left, adopt what of it runs, and go on with every job."""
        self._load_jobs()
        await self._adopt_copies()
        await self._docker.remove_strays(self._known_copies())
        self._remove_strays()
        self._publish()
        for job in list(self._jobs.values()):
            job.resume()
        self._limits = asyncio.create_task(self._enforce_limits(), name="limits")

    async def detach(self) -> None:
        """Go away and leave every app running."""
        self._leaving = True
        self._end_limits()
        for job in self._jobs.values():
            await job.detach()

    async def shutdown(self) -> None:
        """Stop every app's processes; the next start runs them again."""
        self._leaving = True
        await asyncio.gather(*(job.stop_copies() for job in list(self._jobs.values())))
        self._end_limits()
        self._publish()

    # The Scheduler port

    async def capabilities(self) -> Capabilities:
        images = await self._docker.available()
        return Capabilities(engine="embedded", slug_driver="raw_exec", images=images)

    def delete_namespace(self, namespace: str) -> None:
        self._store.remove_namespace_if_empty(namespace)

    def put_secrets(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        self._store.put_secrets(ref, path, values)

    def list_secrets(self, ref: JobRef) -> list[str]:
        return self._store.list_secrets(ref)

    def delete_secrets(self, ref: JobRef, path: str) -> None:
        self._store.delete_secrets(ref, path)

    def plan(self, document: Document) -> JobPlan:
        spec = parse(document)
        job = self._existing(spec.ref)
        old = job.record if job else None
        there = job.count_of(spec) if job else 0
        reasons = self._lacks(spec, spec.count - there)
        words = changes(
            old.document if old else None, document, stopped=old.stopped if old else False
        )
        return JobPlan(changes=words, fits=not reasons, reasons=reasons)

    def submit(self, document: Document, expected_index: int) -> int:
        spec = parse(document)
        job = self._jobs.get(spec.ref)
        current = job.record.modify_index if job and job.exists else 0
        if current != expected_index:
            raise JobConflict(
                f"The job {spec.ref} is at index {current}, not {expected_index}.",
                hint="Observe it again and plan anew.",
            )
        index = self._store.next_index()
        if job is None:
            record = JobRecord(
                namespace=spec.ref.namespace, id=spec.ref.id, modify_index=index, document=document
            )
            job = self._jobs[spec.ref] = JobRunner(self._machine, record)
        job.want(spec, index)
        self._forget_slugs()
        return index

    def observe(self, ref: JobRef) -> Observation:
        job = self._jobs.get(ref)
        if job is None:
            return Observation(ref=ref, cursor=self._cursor(None))
        copies = [copy.describe() for copy in job.copies.values()]
        if not job.exists:
            return Observation(ref=ref, allocations=copies, cursor=self._cursor(job))
        return Observation(
            ref=ref,
            modify_index=job.record.modify_index,
            stopped=job.record.stopped,
            release_id=str(job.record.document["Meta"].get("release", "")),
            rollout=_rollout(job),
            allocations=copies,
            unplaceable=tuple(job.lacking),
            cursor=self._cursor(job),
        )

    async def watch(self, ref: JobRef, cursor: str, timeout: float) -> Observation:
        """Also for a job that is not there yet: whatever changes on this machine is looked at."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            seen = self._machine.changes.number
            observation = self.observe(ref)
            left = deadline - loop.time()
            if observation.cursor != cursor or left <= 0:
                return observation
            await self._machine.changes.wait(seen, left)

    def stop(self, ref: JobRef, *, purge: bool) -> None:
        job = self._existing(ref)
        if job is not None and (purge or not job.record.stopped):
            job.unwant(self._store.next_index(), purge=purge)

    def list_jobs(self) -> list[JobSummary]:
        return [_summary(job) for job in self._jobs.values() if job.exists]

    async def log_tail(self, ref: JobRef, copy_id: str, lines: int) -> list[str]:
        job = self._jobs.get(ref)
        copy = job.copies.get(copy_id) if job else None
        return await copy.log_tail(max(0, min(lines, 10_000))) if copy else []

    def list_copies(self, ref: JobRef) -> list[CopySummary]:
        job = self._jobs.get(ref)
        return [
            _copy_summary(ref, copy.record)
            for copy in (job.copies.values() if job is not None else ())
        ]

    async def usage(self) -> list[CopyUsage]:
        copies = [(ref, copy) for ref, job in self._jobs.items() for copy in job.copies.values()]
        found = await asyncio.gather(*(copy.usage() for _, copy in copies))
        return [
            CopyUsage(ref, copy.record.id, *used)
            for (ref, copy), used in zip(copies, found, strict=True)
            if used is not None
        ]

    async def watch_copies(self, cursor: str, timeout: float) -> tuple[list[CopySummary], str]:
        """Every job's, once a copy came, changed, ended or went."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            seen = self._machine.changes.number
            found = [copy for ref in self._jobs for copy in self.list_copies(ref)]
            now = f"{self._run}-{hash(tuple(found)):x}"
            left = deadline - loop.time()
            if now != cursor or left <= 0:
                return found, now
            await self._machine.changes.wait(seen, left)

    def follow_output(
        self, ref: JobRef, copy_id: str, offsets: Mapping[Output, int], *, follow: bool
    ) -> AsyncIterator[bytes]:
        """Frames (see ``app/agent/follow.py``). Raises NotFound."""
        job = self._jobs.get(ref)
        if job is None or copy_id not in job.copies:
            raise NotFound(f"There is no copy {copy_id[:80]} of {ref}.")
        job_copies = job.copies

        def ending() -> Ending | None:
            copy = job_copies.get(copy_id)
            if copy is None or copy.record.ended or not follow:
                return Ending.COMPLETE
            return Ending.LEAVING if self._leaving else None

        paths = {stream: self._store.log_path(copy_id, stream) for stream in Output}
        return frames(paths, offsets, self._growth, ending)

    # The Ingress port

    def routes(self, service: str) -> list[Route]:
        return [
            Route(
                service=service,
                address=copy.address,
                healthy=copy.record.healthy,
                allocation_id=copy.record.id,
                node="embedded",
                registration_id=copy.record.id,
            )
            for job in self._jobs.values()
            for copy in job.copies.values()
            if copy.spec.service == service and copy.alive and copy.record.routed
        ]

    def services(self) -> list[str]:
        return sorted({backend.service for backend in self._backends()})

    def addresses_of(self, release_id: str) -> list[str]:
        """Where the router may send requests to healthy copies of a release."""
        return [
            copy.address
            for job in self._jobs.values()
            for copy in job.copies.values()
            if copy.record.release_id == release_id and copy.alive and copy.record.healthy
        ]

    # Inside

    def _existing(self, ref: JobRef) -> JobRunner | None:
        job = self._jobs.get(ref)
        return job if job is not None and job.exists else None

    def _cursor(self, job: JobRunner | None) -> str:
        """Of this run of the agent only: another run's cursor is always a change."""
        return f"{self._run}-{job.changes.number if job else 'none'}"

    def _backends(self) -> list[Backend]:
        return [backend for job in self._jobs.values() if (backend := job.backend()) is not None]

    def _publish(self) -> None:
        self.router.publish(self._backends())

    def _forget(self, ref: JobRef) -> None:
        self._jobs.pop(ref, None)
        self._forget_slugs()

    def _settle_port(self, wanted: int) -> int:
        used = {copy.record.port for job in self._jobs.values() for copy in job.copies.values()}
        return self._ports.settle(wanted, used)

    def _lacks(self, spec: JobSpec, more: int) -> list[str]:
        need = spec.memory_mb * more
        promised = sum(job.memory_promised() for job in self._jobs.values())
        if more <= 0 or promised + need <= self._memory_mb:
            return []
        return [
            f"memory: {more} × {spec.memory_mb} MB is needed and "
            f"{max(0, self._memory_mb - promised)} of {self._memory_mb} MB are free on this machine"
        ]

    def _load_jobs(self) -> None:
        """A job that another version registered and this one cannot read is left alone, not stopped."""
        for record in self._store.jobs():
            ref = JobRef(record.namespace, record.id)
            try:
                parse(record.document)
            except SchedulerRejected as error:
                logger.error("job %s is not supervised: %s", ref, error.message)
                self._unreadable.add(ref)
            else:
                self._jobs[ref] = JobRunner(self._machine, record)

    async def _adopt_copies(self) -> None:
        for record, document in self._store.copies():
            ref = JobRef(record.namespace, record.job)
            if ref in self._unreadable:
                continue
            job = self._jobs.get(ref)
            if job is None:
                sessions.kill_marked("NOMAD_ALLOC_ID", record.id)
                self._store.delete_copy(record.id)
                continue
            copy = job.adopt(record, document)
            if not record.ended and not await copy.adopt() and not record.stopping:
                copy.revive()

    def _known_copies(self) -> set[str]:
        ours = {copy_id for job in self._jobs.values() for copy_id in job.copies}
        left_alone = {
            record.id
            for record, _ in self._store.copies()
            if JobRef(record.namespace, record.job) in self._unreadable
        }
        return ours | left_alone

    def _remove_strays(self) -> None:
        """What an agent left that died between starting a process and noting it."""
        for folder in list(self._store.stray_work_folders(self._known_copies())):
            sessions.kill_marked("NOMAD_ALLOC_ID", folder.name)
            shutil.rmtree(folder, ignore_errors=True)
        self._forget_slugs()

    def _forget_slugs(self) -> None:
        specs = [copy.spec for job in self._jobs.values() for copy in job.copies.values()]
        for job in self._jobs.values():
            documents = (job.record.document, job.record.stable)
            specs += [parse(document) for document in documents if document is not None]
        self._slugs.keep_only({fetch.sha256 for spec in specs for fetch in spec.fetches})

    async def _enforce_limits(self) -> None:
        while True:
            try:
                self._processes.enforce_limits()
                self._docker.enforce_limits()
            except (OSError, psutil.Error) as error:
                logger.error("the apps' limits could not be looked at: %s", error)
            await asyncio.sleep(_LIMITS_SECONDS)

    def _end_limits(self) -> None:
        if self._limits is not None:
            self._limits.cancel()


def _rollout(job: JobRunner) -> Rollout | None:
    record = job.record.rollout
    if record is None:
        return None
    of_release = [c for c in job.copies.values() if c.record.release_id == record.release_id]
    healthy = sum(1 for copy in of_release if copy.alive and copy.record.healthy)
    return Rollout(
        release_id=record.release_id,
        status=RolloutStatus(record.status),
        desired=record.desired,
        healthy=healthy,
        message=record.message,
    )


def _copy_summary(ref: JobRef, record: CopyRecord) -> CopySummary:
    mark = f"{record.restarts} {record.exit_code} {record.healthy}"
    return CopySummary(ref, record.id, record.release_id, record.ended, mark)


def _summary(job: JobRunner) -> JobSummary:
    meta = {str(key): str(value) for key, value in (job.record.document.get("Meta") or {}).items()}
    return JobSummary(
        ref=job.ref,
        instance_id=meta.get("instance", ""),
        release_id=meta.get("release", ""),
        stopped=job.record.stopped,
        meta=meta,
    )
