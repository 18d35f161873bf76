"""The ``Scheduler`` port on Nomad."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from app.adapters.nomad import output
from app.adapters.nomad.catalog import Catalog
from app.adapters.nomad.connection import connection_of
from app.adapters.nomad.gateway import Answer, Gateway, first_of
from app.adapters.nomad.observation import (
    Placement,
    Records,
    observation_of,
    placement_of,
    usage_of,
)
from app.adapters.nomad.placement import changes, no_room
from app.adapters.nomad.records import Records as RecordKeeper
from app.ports.scheduler import (
    CopySummary,
    CopyUsage,
    CopyWatch,
    JobPlan,
    JobRef,
    JobSummary,
    Observation,
    Output,
    OutputChunk,
    SchedulerRejected,
    SchedulerUnavailable,
)
from app.settings import Settings
from jobs import Capabilities
from jobs.render import GROUP, Job, service_name_of

_STATS_AT_ONCE = 16
"""Questions to the clients about what their copies use."""
_ABSENT = "absent"
_BYTES_A_LINE = 2_000
_REMEMBERED = 10_000
_LONGEST_WAIT = 300.0
_OVER = {"complete", "failed", "lost"}


class NomadScheduler:
    """One for a process. What it remembers (placements of allocations) never changes in Nomad."""

    def __init__(self, settings: Settings) -> None:
        connection = connection_of(settings)
        self._settings = settings
        self._gateway = Gateway(connection)
        self._records = RecordKeeper(connection)
        self._catalog = Catalog(settings)
        self._placements: OrderedDict[str, Placement] = OrderedDict()
        self._capabilities: Capabilities | None = None

    async def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            agent = await self._gateway.get("agent", "self")
            nodes = await self._gateway.get("nodes")
            if agent is None or nodes is None:
                raise SchedulerUnavailable("Nomad's agent does not say what it is.")
            self._capabilities = Capabilities(
                engine="nomad",
                version=_version(agent.value),
                slug_driver=self._settings.nomad_slug_driver,
                images=any(_runs_images(node) for node in nodes.value or ()),
                slug_image=self._settings.nomad_slug_image,
                slug_volume=self._settings.nomad_slug_volume,
            )
        return self._capabilities

    async def ensure_namespace(self, namespace: str) -> None:
        await self._records.ensure_namespace(namespace)

    async def delete_namespace(self, namespace: str) -> None:
        await self._records.delete_namespace(namespace)

    async def put_secrets(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        await self._records.put_variable(ref, path, values)

    async def list_secrets(self, ref: JobRef) -> Sequence[str]:
        return await self._records.list_variables(ref, f"nomad/jobs/{ref.id}/{GROUP}/")

    async def delete_secrets(self, ref: JobRef, path: str) -> None:
        await self._records.delete_variable(ref, path)

    async def plan(self, job: Job) -> JobPlan:
        answer = await self._gateway.post(
            "job",
            job["ID"],
            "plan",
            params={"namespace": job["Namespace"]},
            json={"Job": job, "Diff": True},
        )
        reasons = no_room(answer.get("FailedTGAllocs") or {}, job)
        return JobPlan(changes=changes(answer.get("Diff")), fits=not reasons, reasons=reasons)

    async def submit(self, job: Job, *, expected_index: int) -> int:
        guarded = {"Job": job, "EnforceIndex": True, "JobModifyIndex": expected_index}
        answer = await self._gateway.post(
            "jobs", params={"namespace": job["Namespace"]}, json=guarded
        )
        return int(answer["JobModifyIndex"])

    async def observe(self, ref: JobRef) -> Observation:
        seen, _ = await self._observe(ref)
        return seen

    async def watch(self, ref: JobRef, cursor: str, *, timeout: float) -> Observation:
        """Nomad wakes us when any record of this job changed; whether that matters, the cursor says."""
        deadline = time.monotonic() + timeout
        while True:
            seen, indexes = await self._observe(ref)
            left = deadline - time.monotonic()
            if seen.cursor != cursor or left <= 0:
                return seen
            await self._wait(ref, indexes, min(left, _LONGEST_WAIT))

    async def stop(self, ref: JobRef, *, purge: bool) -> None:
        await self._records.deregister(ref, purge=purge)

    async def list_jobs(self) -> Sequence[JobSummary]:
        answer = await self._gateway.get("jobs", params={"namespace": "*", "meta": "true"})
        return [
            _summary(stub)
            for stub in (answer.value if answer is not None else None) or ()
            if (stub.get("Meta") or {}).get("paas") == "1"
        ]

    async def log_tail(self, ref: JobRef, allocation_id: str, *, lines: int) -> Sequence[str]:
        """stdout's last lines, then stderr's: Nomad keeps them apart and without times."""
        found = await self._gateway.get(
            "allocation", allocation_id, params={"namespace": ref.namespace}
        )
        if found is None or found.value["JobID"] != ref.id:
            return []
        task = next(iter(found.value.get("TaskStates") or ()), "")
        if not task:
            return []
        tail: list[str] = []
        for stream in ("stdout", "stderr"):
            tail += await self._last_lines(ref, allocation_id, task, stream, lines)
        return tail[-lines:]

    async def list_copies(self, ref: JobRef) -> Sequence[CopySummary]:
        answer = await self._gateway.get(
            "job", ref.id, "allocations", params={"namespace": ref.namespace, "all": "true"}
        )
        stubs = _rows(answer)
        placed = await self._placed(ref, stubs)
        return [
            CopySummary(
                ref, stub["ID"], placed[stub["ID"]].release_id, stub["ClientStatus"] in _OVER
            )
            for stub in stubs
            if stub["ID"] in placed
        ]

    async def watch_copies(self, cursor: str, *, timeout: float) -> CopyWatch:
        """Nomad wakes at every change of any allocation; the cursor is its index."""
        answer = await self._gateway.get(
            "allocations",
            params={"namespace": "*", "task_states": "false", "resources": "false"},
            index=int(cursor or 0),
            wait=min(timeout, _LONGEST_WAIT),
        )
        stubs = {
            (JobRef(stub["Namespace"], stub["JobID"]), stub["ID"]): stub for stub in _rows(answer)
        }
        return CopyWatch(
            {copy: stub["ClientStatus"] in _OVER for copy, stub in stubs.items()},
            str(answer.index if answer is not None else 0),
            {copy: str(stub["ModifyIndex"]) for copy, stub in stubs.items()},
        )

    async def usage(self) -> Sequence[CopyUsage]:
        """Each client measures its copies by itself, once a second: one question a copy."""
        answer = await self._gateway.get(
            "allocations", params={"namespace": "*", "filter": 'ClientStatus == "running"'}
        )
        gate = asyncio.Semaphore(_STATS_AT_ONCE)

        async def measured(stub: Mapping[str, Any]) -> CopyUsage | None:
            ref = JobRef(stub["Namespace"], stub["JobID"])
            async with gate:
                try:
                    stats = await self._gateway.get(
                        "client",
                        "allocation",
                        stub["ID"],
                        "stats",
                        params={"namespace": ref.namespace},
                    )
                except (SchedulerUnavailable, SchedulerRejected):
                    return None
            return usage_of(ref, stub["ID"], stats.value) if stats is not None else None

        found = await asyncio.gather(*(measured(stub) for stub in _rows(answer)))
        return [usage for usage in found if usage is not None]

    async def follow_output(
        self, ref: JobRef, allocation_id: str, positions: Mapping[Output, str], *, follow: bool
    ) -> AsyncGenerator[OutputChunk, None]:
        chunks = output.follow(self._gateway, ref, allocation_id, positions, live=follow)
        async with contextlib.aclosing(chunks) as found:
            async for chunk in found:
                yield chunk

    async def close(self) -> None:
        await self._gateway.close()
        await self._catalog.close()
        await self._records.close()

    async def _last_lines(
        self, ref: JobRef, allocation_id: str, task: str, stream: str, lines: int
    ) -> list[str]:
        size = lines * _BYTES_A_LINE
        text = await self._gateway.text(
            "client",
            "fs",
            "logs",
            allocation_id,
            params={
                "namespace": ref.namespace,
                "task": task,
                "type": stream,
                "plain": "true",
                "origin": "end",
                "offset": str(size),
            },
        )
        return (text or "").splitlines()[-lines:]

    async def _observe(self, ref: JobRef) -> tuple[Observation, list[int]]:
        """What there is, and the index of each kind of record to wait on."""
        query = {"namespace": ref.namespace}
        job, deployments, allocations, evaluations = await asyncio.gather(
            self._gateway.get("job", ref.id, params=query),
            self._gateway.get("job", ref.id, "deployments", params=query),
            self._gateway.get("job", ref.id, "allocations", params=query),
            self._gateway.get("job", ref.id, "evaluations", params=query),
        )
        indexes = [
            0 if answer is None else answer.index for answer in (job, deployments, allocations)
        ]
        if job is None:
            return Observation(ref, cursor=_ABSENT), indexes
        stubs = _rows(allocations)
        records = Records(
            job=job.value,
            deployments=_rows(deployments),
            allocations=stubs,
            evaluations=_rows(evaluations),
            placements=await self._placed(ref, stubs),
            listening=await self._listening(ref, stubs),
        )
        return observation_of(ref, records), indexes

    async def _wait(self, ref: JobRef, indexes: Sequence[int], seconds: float) -> None:
        """A missing job has no index of its own: its namespace's list is waited on instead."""
        query = {"namespace": ref.namespace}
        paths = [("job", ref.id), ("job", ref.id, "deployments"), ("job", ref.id, "allocations")]
        if not indexes[0]:
            await self._wait_for_job(ref, seconds)
            return
        await first_of(
            *(
                asyncio.create_task(
                    self._gateway.get(*path, params=query, index=index or 1, wait=seconds)
                )
                for path, index in zip(paths, indexes, strict=True)
            )
        )

    async def _wait_for_job(self, ref: JobRef, seconds: float) -> None:
        query = {"namespace": ref.namespace, "prefix": ref.id}
        listed = await self._gateway.get("jobs", params=query)
        if listed is None or any(stub["ID"] == ref.id for stub in listed.value or ()):
            return
        await self._gateway.get("jobs", params=query, index=listed.index or 1, wait=seconds)

    async def _placed(self, ref: JobRef, stubs: Sequence[Any]) -> dict[str, Placement]:
        missing = [stub["ID"] for stub in stubs if stub["ID"] not in self._placements]
        found = await asyncio.gather(
            *(
                self._gateway.get("allocation", identifier, params={"namespace": ref.namespace})
                for identifier in missing
            )
        )
        for identifier, answer in zip(missing, found, strict=True):
            if answer is not None:
                self._placements[identifier] = placement_of(answer.value)
        while len(self._placements) > _REMEMBERED:
            self._placements.popitem(last=False)
        return {
            stub["ID"]: self._placements[stub["ID"]]
            for stub in stubs
            if stub["ID"] in self._placements
        }

    async def _listening(self, ref: JobRef, stubs: Sequence[Any]) -> Mapping[str, bool]:
        if not any(stub["ClientStatus"] == "running" for stub in stubs):
            return {}
        return await self._catalog.listening(service_name_of(ref.namespace, ref.id))


def _rows(answer: Answer | None) -> Sequence[Any]:
    return (answer.value or ()) if answer is not None else ()


def _version(agent: Any) -> tuple[int, int, int]:
    text = str(agent["config"]["Version"]["Version"]).split("-")[0]
    major, minor, patch = (int(part) for part in text.split(".")[:3])
    return major, minor, patch


def _runs_images(node: Any) -> bool:
    driver = (node.get("Drivers") or {}).get("docker") or {}
    return node["Status"] == "ready" and bool(driver.get("Healthy"))


def _summary(stub: Any) -> JobSummary:
    meta = stub["Meta"]
    return JobSummary(
        ref=JobRef(stub["Namespace"], stub["ID"]),
        instance_id=meta.get("instance", ""),
        release_id=meta.get("release", ""),
        stopped=bool(stub.get("Stop")),
        meta=meta,
    )
