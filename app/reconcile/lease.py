"""A lease: the right of one worker to act on one piece of work, for a while.

The database's clock alone says when a lease ends, so workers need not agree on the time. A holder that
was paused past its end finds out in ``guard``: it locks the lease's row within the same transaction as
the writes, so that nobody can take the lease until these are committed, and raises when it is gone.
Effects outside the database need a guard of their own (the scheduler's modify index).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db import Database, WriteSession

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another worker may act on this key now: stop at once, and change nothing more."""


class LeaseBusy(Exception):
    """Another worker holds the lease; ``seconds`` until it ends unless it is renewed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"held by another worker for {seconds:.1f} s")
        self.seconds = seconds


# The fence is the database's clock in microseconds, and more than the one before: a row that was
# deleted on release and made again never repeats a number.
_ACQUIRE = text(
    """
    INSERT INTO lease (kind, key, owner, fence, expires_at)
    VALUES (:kind, :key, :owner, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
            clock_timestamp() + :duration)
    ON CONFLICT (kind, key) DO UPDATE
    SET owner = excluded.owner, fence = greatest(lease.fence + 1, excluded.fence),
        expires_at = excluded.expires_at
    WHERE lease.expires_at <= clock_timestamp()
    RETURNING fence
    """
)
_REMAINING = text(
    "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM lease"
    " WHERE kind = :kind AND key = :key"
)
_ABANDONED = text("SELECT key FROM lease WHERE kind = :kind AND expires_at <= clock_timestamp()")
_MINE = "kind = :kind AND key = :key AND owner = :owner AND fence = :fence"
_GUARD = text(f"SELECT 1 FROM lease WHERE {_MINE} FOR UPDATE")
_RENEW = text(f"UPDATE lease SET expires_at = clock_timestamp() + :duration WHERE {_MINE}")
_RELEASE = text(f"DELETE FROM lease WHERE {_MINE}")


class HeldLease:
    """A lease that this worker holds. Renewed in the background until released."""

    def __init__(
        self, database: Database, kind: str, key: str, owner: str, fence: int, seconds: float
    ) -> None:
        self.kind = kind
        self.key = key
        self.owner = owner
        self.fence = fence
        self.woken = asyncio.Event()
        """Set by each wake of this key while the lease is held."""
        self.lost = asyncio.Event()
        """Set when the lease could not be renewed in time, or was taken."""
        self._database = database
        self._seconds = seconds
        self._good_until = time.monotonic() + seconds
        self._renewal: asyncio.Task[None] | None = None

    async def guard(self, session: WriteSession) -> None:
        """First thing in each write transaction. Raises LeaseLost."""
        if (await session.execute(_GUARD, self._row())).first() is None:
            self.lost.set()
            raise LeaseLost(f"{self.kind} {self.key}: another worker took over")

    def check(self) -> None:
        """Before an effect outside the database. Raises LeaseLost when the lease may have ended."""
        if self.lost.is_set() or time.monotonic() >= self._good_until:
            self.lost.set()
            raise LeaseLost(f"{self.kind} {self.key}: the lease was not renewed in time")

    def keep_renewed(self) -> None:
        """Renew in the background at a third of the lease's duration."""
        self._renewal = asyncio.create_task(
            self._renew_forever(), name=f"renew {self.kind} {self.key}"
        )

    async def release(self) -> None:
        """Let others have it at once. When the database is gone the lease simply ends by itself."""
        await self._stop_renewing()
        try:
            async with self._database.write_transaction() as session:
                await session.execute(_RELEASE, self._row())
        except (SQLAlchemyError, OSError) as error:
            log.warning("lease %s %s is left to expire: %s", self.kind, self.key, error)

    async def _stop_renewing(self) -> None:
        if self._renewal is None:
            return
        self._renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._renewal
        self._renewal = None

    async def _renew_forever(self) -> None:
        while not self.lost.is_set():
            await asyncio.sleep(self._seconds / 3)
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout_at(self._loop_deadline()):
                    renewed = await self._renew_once()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("lease %s %s could not be renewed: %s", self.kind, self.key, error)
                if time.monotonic() >= self._good_until:
                    self.lost.set()
                continue
            if renewed:
                self._good_until = asked_at + self._seconds
            else:
                self.lost.set()

    def _loop_deadline(self) -> float:
        return asyncio.get_running_loop().time() + max(0.0, self._good_until - time.monotonic())

    async def _renew_once(self) -> bool:
        async with self._database.write_transaction() as session:
            row = {**self._row(), "duration": timedelta(seconds=self._seconds)}
            result = await session.execute(_RENEW, row)
            return bool(getattr(result, "rowcount", 0))

    def _row(self) -> dict[str, object]:
        return {"kind": self.kind, "key": self.key, "owner": self.owner, "fence": self.fence}


async def acquire(
    database: Database, kind: str, key: str, *, owner: str, seconds: float
) -> HeldLease:
    """Take the lease, renewing it in the background. Raises LeaseBusy when another worker holds it."""
    row = {"kind": kind, "key": key, "owner": owner, "duration": timedelta(seconds=seconds)}
    asked_at = time.monotonic()
    async with database.write_transaction() as session:
        fence = (await session.execute(_ACQUIRE, row)).scalar_one_or_none()
        if fence is None:
            remaining = (
                await session.execute(_REMAINING, {"kind": kind, "key": key})
            ).scalar_one_or_none()
            raise LeaseBusy(max(0.0, float(remaining or 0.0)))
    lease = HeldLease(database, kind, key, owner, fence, seconds)
    lease._good_until = asked_at + seconds
    lease.keep_renewed()
    return lease


async def abandoned(database: Database, kind: str) -> Sequence[str]:
    """Keys whose holder died: it neither released its lease nor renewed it."""
    async with database.read_session() as session:
        return (await session.execute(_ABANDONED, {"kind": kind})).scalars().all()
