"""The Ingress port over the simulated engine: every healthy copy is a route, at once."""

from __future__ import annotations

from collections.abc import Sequence

from app.adapters.memory.cluster import SimulatedJob
from app.adapters.memory.scheduler import MemoryScheduler
from app.errors import ExternalFailure
from app.ports.ingress import Route
from jobs.render import service_name_of


class MemoryIngress:
    """``leftovers`` are services whose job is gone, as a crashed node leaves them in a catalog;
    ``deaf`` makes the router take up no change; ``down`` makes every call fail."""

    def __init__(self, scheduler: MemoryScheduler) -> None:
        self._cluster = scheduler.cluster
        self.leftovers: set[str] = set()
        self.platform: dict[str, tuple[str, int]] = {}
        self.down = False
        self.deaf = False
        self.lingering = False

    async def routes(self, service: str) -> Sequence[Route]:
        self._answer()
        job = next((j for j in self._cluster.jobs.values() if _service(j) == service), None)
        if job is None:
            return []
        return [
            Route(
                service=service,
                address=copy.allocation.address,
                healthy=copy.allocation.healthy,
                allocation_id=copy.allocation.id,
            )
            for copy in job.copies
            if copy.alive
        ]

    async def serves(self, hostname: str, release_id: str, *, alone: bool = False) -> bool:
        self._answer()
        routed = [
            copy
            for job in self._cluster.jobs.values()
            if f"`{hostname}`" in str(job.spec["TaskGroups"])
            for copy in job.copies
            if copy.alive and copy.allocation.healthy
        ]
        ours = [copy for copy in routed if copy.allocation.release_id == release_id]
        return (
            not self.deaf
            and bool(ours)
            and not (alone and (self.lingering or len(ours) < len(routed)))
        )

    async def services(self) -> Sequence[str]:
        self._answer()
        live = {_service(job) for job in self._cluster.jobs.values() if not job.stopped}
        return sorted(live | self.leftovers)

    async def remove(self, service: str) -> None:
        self._answer()
        self.leftovers.discard(service)

    async def register_platform(self, name: str, host: str, port: int) -> None:
        self._answer()
        self.platform[name] = (host, port)

    async def deregister_platform(self, name: str) -> None:
        self._answer()
        self.platform.pop(name, None)

    async def close(self) -> None:
        return None

    def _answer(self) -> None:
        if self.down:
            raise ExternalFailure("The simulated router does not answer.")


def _service(job: SimulatedJob) -> str:
    return service_name_of(job.ref.namespace, job.ref.id)
