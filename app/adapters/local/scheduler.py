"""The Scheduler port over ``paas agent``, the embedded engine (see ``app/agent``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from app.adapters.local.agent import AgentClient
from app.ports.scheduler import JobPlan, JobRef, JobSummary, Observation
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

    async def shutdown(self) -> None:
        """Stop every app's processes and then the agent; its next start runs the same jobs again.

        Beside the port: for ``paas up``, which ends the whole machine's worth of it.
        """
        await self._agent.call("POST", "/v1/shutdown", timeout=120)

    async def close(self) -> None:
        """Nothing is kept open between calls."""


def _job(ref: JobRef) -> str:
    return f"/v1/jobs/{_part(ref.namespace)}/{_part(ref.id)}"


def _part(name: str) -> str:
    return quote(name, safe="")
