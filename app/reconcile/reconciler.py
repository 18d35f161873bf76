"""What a reconciler is. The driver knows this and nothing of any domain.

A reconciler is level-triggered: it is told *that* something may have changed for a key, never *what*.
It reads the rows, looks at the world, takes the next steps, and may be killed after any of them: the
next call goes on from what it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.reconcile.lease import HeldLease


class Reconciler(Protocol):
    """One kind of work. Wakes are sent as ``session.wake(kind, key)``."""

    @property
    def kind(self) -> str:
        """Names its leases, its wakes and its status row, e.g. ``"instance"``."""
        ...

    @property
    def period(self) -> float:
        """Seconds between two calls of ``pending``: the safety net below the wakes."""
        ...

    @property
    def concurrency(self) -> int:
        """How many keys one worker reconciles at a time."""
        ...

    async def pending(self) -> Sequence[str]:
        """The keys that need work now, in one query. Keys that only wait for a wake are left out,
        or they would be reconciled once a period for nothing."""
        ...

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        """Bring ``key`` as far as it will go now; return when it is done, or waits for a wake.

        Idempotent. Every write transaction begins with ``await lease.guard(session)``. It may wait
        long, on ``lease.woken`` (clear it, read the rows, then wait) beside whatever else it waits for.
        When it raises, the driver records and logs the error, and calls again after a growing pause.
        It is cancelled when the lease is lost or the worker stops. A key that has gone is nothing to do.
        """
        ...
