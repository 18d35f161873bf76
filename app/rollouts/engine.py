"""What a deployment does to the engine and the router. Every effect may be repeated."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from app import faults
from app.crypto import SecretBox
from app.errors import Conflict, ExternalFailure
from app.instances import secrets
from app.ports.builder import SlugStore
from app.ports.ingress import Ingress
from app.ports.scheduler import JobRef, Observation, Scheduler
from app.reconcile.lease import HeldLease
from app.rollouts import failures, rendering
from app.rollouts.state import Frozen, Loaded
from jobs import Capabilities
from jobs.render import Job, secrets_path_of, service_name_of

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_LOOK = 0.02
_LONGEST_PAUSE = 0.25
_LONGEST_HEALTHY_WAIT = 120
"""Seconds that a new copy has to become healthy; less when the rollout's own time is shorter."""


class Engine:
    """The scheduler and the router, as the instance reconciler uses them."""

    def __init__(
        self,
        scheduler: Scheduler,
        ingress: Ingress,
        slugs: SlugStore,
        box: SecretBox,
        *,
        rollout_seconds: float,
    ) -> None:
        self._scheduler = scheduler
        self._ingress = ingress
        self._slugs = slugs
        self._box = box
        self._healthy_seconds = max(5, min(_LONGEST_HEALTHY_WAIT, int(rollout_seconds * 0.75)))
        self._capabilities: Capabilities | None = None

    async def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            self._capabilities = await self._scheduler.capabilities()
        return self._capabilities

    async def job_for(self, loaded: Loaded, frozen: Frozen) -> Job:
        return rendering.job_for(
            loaded,
            frozen,
            slugs=self._slugs,
            capabilities=await self.capabilities(),
            healthy_seconds=self._healthy_seconds,
        )

    async def submit(
        self, loaded: Loaded, frozen: Frozen, lease: HeldLease, *, expected_index: int
    ) -> int:
        """Namespace, secrets, job, in this order. Returns the job's new modify index."""
        job = await self.job_for(loaded, frozen)
        ref = loaded.state.ref
        lease.check()
        await self._scheduler.ensure_namespace(ref.namespace)
        faults.checkpoint("deployment.namespace_ready")
        await self._put_secrets(ref, frozen)
        faults.checkpoint("deployment.secrets_put")
        lease.check()
        index = await self._scheduler.submit(job, expected_index=expected_index)
        faults.checkpoint("deployment.job_submitted")
        return index

    async def _put_secrets(self, ref: JobRef, frozen: Frozen) -> None:
        """A leftover of an earlier app of the same name gives way: no job of ours has read it."""
        values = secrets.open_release_env(self._box, frozen.release)
        path = secrets_path_of(ref.id, frozen.release.number)
        try:
            await self._scheduler.put_secrets(ref, path, values)
        except Conflict:
            log.warning("%s: replacing variables that an earlier app left at %s", ref, path)
            await self._scheduler.delete_secrets(ref, path)
            await self._scheduler.put_secrets(ref, path, values)

    async def observe(self, ref: JobRef) -> Observation:
        return await self._scheduler.observe(ref)

    async def watch(
        self, ref: JobRef, cursor: str, lease: HeldLease, *, seconds: float
    ) -> Observation | None:
        """The next change; None when the instance was woken first, so that its rows must be read."""
        watching = self._scheduler.watch(ref, cursor, timeout=seconds)
        return await first_of(watching, lease.woken.wait())

    async def routed(
        self,
        hostname: str,
        release_id: str,
        lease: HeldLease,
        *,
        seconds: float,
        alone_seconds: float,
    ) -> bool:
        """Wait until the router sends requests for ``hostname`` to this release; for ``alone_seconds``,
        also until it sends them to no other.

        False after ``seconds``, or when the instance was woken meanwhile.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + seconds
        pause = _FIRST_LOOK
        while True:
            alone = loop.time() - began < alone_seconds
            if await self.serves(hostname, release_id, alone=alone):
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await lease.woken.wait()
            if lease.woken.is_set() or loop.time() >= deadline:
                return False
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def serves(self, hostname: str, release_id: str, *, alone: bool) -> bool:
        """Whether the router does now; one that does not answer does not."""
        try:
            return await self._ingress.serves(hostname, release_id, alone=alone)
        except ExternalFailure as error:
            log.info("%s: the router does not answer yet: %s", hostname, error)
            return False

    async def log_tail(self, ref: JobRef, copy_id: str) -> list[str]:
        """Empty rather than an error: a failure without its log lines is still a failure to tell of."""
        try:
            return list(await self._scheduler.log_tail(ref, copy_id, lines=failures.TAIL_LINES))
        except ExternalFailure as error:
            log.warning("%s: the log of %s cannot be read: %s", ref, copy_id, error)
            return []

    async def stop(self, ref: JobRef, lease: HeldLease, *, purge: bool) -> None:
        lease.check()
        await self._scheduler.stop(ref, purge=purge)
        faults.checkpoint("deployment.job_stopped")

    async def prune_secrets(self, ref: JobRef, *, keep: set[int]) -> None:
        """Delete the variables of every release but those of these numbers."""
        kept = {secrets_path_of(ref.id, number) for number in keep}
        for path in await self._scheduler.list_secrets(ref):
            if path not in kept:
                await self._scheduler.delete_secrets(ref, path)
                faults.checkpoint("deployment.secrets_pruned")

    async def forget(self, ref: JobRef) -> None:
        """Remove what may outlive a purged job: its variables, and services that were not deregistered."""
        for path in await self._scheduler.list_secrets(ref):
            await self._scheduler.delete_secrets(ref, path)
        faults.checkpoint("instance.removed_secrets")
        await self._ingress.remove(service_name_of(ref.namespace, ref.id))
        faults.checkpoint("instance.removed_routes")


async def first_of(work: Coroutine[Any, Any, T], other: Awaitable[object]) -> T | None:
    """The work's result, or None when ``other`` came first; then the work is cancelled."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
