"""The Scheduler port over ``paas agent``, the embedded engine (see ``app/agent``)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from app.adapters.local.agent import AgentClient
from app.agent.follow import HEADER, STREAMS, UNKNOWN
from app.errors import NotFound
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
    OutputGone,
    SchedulerUnavailable,
)
from app.settings import Settings
from jobs import Capabilities
from jobs.render import Job


def agent_socket(home: Path) -> Path:
    return home / "agent" / "agent.sock"


class LocalScheduler:
    def __init__(self, settings: Settings) -> None:
        self._agent = AgentClient(agent_socket(settings.home_path))

    async def capabilities(self) -> Capabilities:
        found: Capabilities = await self._agent.call("GET", "/v1/capabilities", Capabilities)
        return found

    async def ensure_namespace(self, namespace: str) -> None:
        """Nothing to do: a namespace is where jobs and secrets of its name are."""

    async def delete_namespace(self, namespace: str) -> None:
        await self._agent.call("DELETE", f"/v1/namespaces/{_part(namespace)}")

    async def put_secrets(self, ref: JobRef, path: str, values: Mapping[str, str]) -> None:
        await self._agent.call(
            "PUT", f"{_job(ref)}/secrets", query={"path": path}, body=dict(values)
        )

    async def list_secrets(self, ref: JobRef) -> Sequence[str]:
        found: list[str] = await self._agent.call("GET", f"{_job(ref)}/secrets", list[str])
        return found

    async def delete_secrets(self, ref: JobRef, path: str) -> None:
        await self._agent.call("DELETE", f"{_job(ref)}/secrets", query={"path": path})

    async def plan(self, job: Job) -> JobPlan:
        plan: JobPlan = await self._agent.call("POST", "/v1/plan", JobPlan, body=job)
        return plan

    async def submit(self, job: Job, *, expected_index: int) -> int:
        query = {"expected_index": str(expected_index)}
        index: int = await self._agent.call("PUT", "/v1/jobs", int, query=query, body=job)
        return index

    async def observe(self, ref: JobRef) -> Observation:
        seen: Observation = await self._agent.call("GET", _job(ref), Observation)
        return seen

    async def watch(self, ref: JobRef, cursor: str, *, timeout: float) -> Observation:
        query = {"cursor": cursor, "timeout": str(timeout)}
        seen: Observation = await self._agent.call(
            "GET", _job(ref), Observation, query=query, timeout=timeout + 15
        )
        return seen

    async def stop(self, ref: JobRef, *, purge: bool) -> None:
        await self._agent.call("DELETE", _job(ref), query={"purge": "true" if purge else "false"})

    async def list_jobs(self) -> Sequence[JobSummary]:
        jobs: list[JobSummary] = await self._agent.call("GET", "/v1/jobs", list[JobSummary])
        return jobs

    async def log_tail(self, ref: JobRef, allocation_id: str, *, lines: int) -> Sequence[str]:
        path = f"{_job(ref)}/logs/{_part(allocation_id)}"
        found: list[str] = await self._agent.call(
            "GET", path, list[str], query={"lines": str(lines)}
        )
        return found

    async def list_copies(self, ref: JobRef) -> Sequence[CopySummary]:
        found: list[CopySummary] = await self._agent.call(
            "GET", f"{_job(ref)}/copies", list[CopySummary]
        )
        return found

    async def watch_copies(self, cursor: str, *, timeout: float) -> CopyWatch:
        query = {"cursor": cursor, "timeout": str(timeout)}
        answer = tuple[list[CopySummary], str]
        copies, cursor = await self._agent.call(
            "GET", "/v1/copies", answer, query=query, timeout=timeout + 15
        )
        return CopyWatch(
            {(copy.ref, copy.id): copy.ended for copy in copies},
            cursor,
            {(copy.ref, copy.id): copy.mark for copy in copies},
        )

    async def usage(self) -> Sequence[CopyUsage]:
        found: list[CopyUsage] = await self._agent.call("GET", "/v1/usage", list[CopyUsage])
        return found

    async def follow_output(
        self, ref: JobRef, allocation_id: str, positions: Mapping[Output, str], *, follow: bool
    ) -> AsyncGenerator[OutputChunk, None]:
        path = f"{_job(ref)}/output/{_part(allocation_id)}"
        query = {"follow": "true" if follow else "false"}
        query |= {str(stream): position for stream, position in positions.items() if position}
        try:
            async with self._agent.stream(path, query=query) as chunks:
                async for chunk in _chunks(chunks):
                    yield chunk
        except NotFound as error:
            raise OutputGone(error.message) from error

    async def shutdown(self) -> None:
        """Stop every app's processes and then the agent; its next start runs the same jobs again.

        Beside the port: for ``paas up``, which ends the whole machine's worth of it.
        """
        await self._agent.call("POST", "/v1/shutdown", timeout=120)

    async def close(self) -> None:
        """Nothing is kept open between calls."""


async def _chunks(parts: AsyncIterator[bytes]) -> AsyncGenerator[OutputChunk, None]:
    held = bytearray()
    async for part in parts:
        held += part
        at = 0
        while at + HEADER.size <= len(held):
            stream, lost, dropped, position, length = HEADER.unpack_from(held, at)
            end = at + HEADER.size + length
            if end > len(held):
                break
            if stream == len(STREAMS):
                return
            data = bytes(held[at + HEADER.size : end])
            lost_bytes = None if dropped == UNKNOWN else dropped
            yield OutputChunk(STREAMS[stream], data, str(position), lost, lost_bytes)
            at = end
        del held[:at]
    raise SchedulerUnavailable("The embedded engine went away in the middle of an app's output.")


def _job(ref: JobRef) -> str:
    return f"/v1/jobs/{_part(ref.namespace)}/{_part(ref.id)}"


def _part(name: str) -> str:
    return quote(name, safe="")
