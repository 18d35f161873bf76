"""The database: one engine, read sessions, and the only place that commits.

Services receive a session and never commit it. ``write_transaction()`` commits when its block ends
and rolls back when it raises, so a failed mutation leaves nothing behind. Wake-ups are sent with
``notify`` inside the transaction: Postgres delivers them at commit, or never.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as QueueTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

from app.audit import guard
from app.errors import ExternalFailure
from app.selects import Selects

if TYPE_CHECKING:
    from app.access.actor import Actor

WAKE_CHANNEL = "paas_wake"
_PING_AFTER_SECONDS = 30.0
"""Of rest: what a connection missed meanwhile (a firewall that forgot it), a question finds out."""
_NUMBERING_LOCK = 0x7061617365766E74


class ReadSession(AsyncSession):
    """For SELECTs. Each stands for itself, without a transaction around them: two round trips less."""


class _Transaction(Session):
    """What a WriteSession is of, to SQLAlchemy's events."""


guard.watch(_Transaction)


class WriteSession(AsyncSession):
    """One transaction; committed by ``Database.write_transaction`` and nobody else."""

    sync_session_class = _Transaction

    def act_for(self, actor: Actor) -> None:
        """What changes, changes for ``actor``, and is not committed without an entry in the audit log.

        Said by whoever opens a transaction for an actor, and by every question of permission; never said
        in the platform's own work, of its reconcilers.
        """
        self.info[guard.ACTOR] = actor

    async def wake(self, kind: str, key: str) -> None:
        """At commit, wake whoever reconciles ``kind`` for ``key`` (e.g. ``"instance"``, its id)."""
        await self.execute(
            text("SELECT pg_notify(:channel, :payload)"),
            {"channel": WAKE_CHANNEL, "payload": f"{kind}:{key}"},
        )

    def add_last(self, row: object) -> None:
        """Store it right before the commit, where its number is given in the order of commits.

        A number that is given earlier may become visible after a larger one, and a reader who goes on from
        the largest that he has seen would miss it.
        """
        self.info.setdefault("last", []).append(row)

    async def store_last(self) -> None:
        """Under a lock that is let go once the commit is visible; nothing else is locked after it."""
        rows = self.info.pop("last", None)
        if rows:
            await self.flush()
            await self.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NUMBERING_LOCK})
            self.add_all(rows)
            await self.flush()


def asyncpg_url(url: str) -> str:
    """``postgresql://…`` as SQLAlchemy wants it for asyncpg."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("not a postgresql:// URL")
    return f"postgresql+asyncpg://{rest}"


async def flush_or(session: AsyncSession, refusals: Mapping[str, Exception]) -> None:
    """Flush; a row that the database refuses by a constraint named in ``refusals`` raises its error.

    The errors are made beforehand, because a failed flush rolls back and leaves no row to read for
    their words. This, and not a look beforehand, is what decides who wins of two at once.
    """
    try:
        await session.flush()
    except IntegrityError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        refusal = refusals.get(str(getattr(cause, "constraint_name", "")))
        if refusal is None:
            raise
        raise refusal from error


def outage(error: BaseException) -> ExternalFailure | None:
    """What to tell a caller when the database did not answer; None when ``error`` is something else."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if not lost and not isinstance(
        error,
        OSError
        | OperationalError
        | InterfaceError
        | QueueTimeout
        | asyncpg.PostgresConnectionError
        | asyncpg.OperatorInterventionError
        | asyncpg.InterfaceError,
    ):
        return None
    return ExternalFailure(
        "The database did not answer.", hint="Nothing was changed. Try again in a moment."
    )


class Database:
    """Owns the pool. One per process. Connections are opened as they are needed, up to ``pool_size``, and
    kept: beyond it callers wait, since opening one costs more than most of what is done with it. The one used
    last is taken first: the server has prepared its statements already."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(url), pool_size=pool_size, max_overflow=0, pool_use_lifo=True
        )
        _discard_lost(self.engine)
        reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.selects = Selects(url, self.engine.dialect)
        """Beside the pool: SELECTs without a session."""
        self._read = async_sessionmaker(reading, class_=ReadSession, expire_on_commit=False)
        self._write = async_sessionmaker(self.engine, class_=WriteSession, expire_on_commit=False)

    @asynccontextmanager
    async def read_session(self) -> AsyncIterator[ReadSession]:
        async with self._read() as session:
            yield session

    @asynccontextmanager
    async def write_transaction(self) -> AsyncIterator[WriteSession]:
        async with self._write() as session, session.begin():
            yield session
            await session.store_last()

    async def close(self) -> None:
        await self.engine.dispose()
        await self.selects.close()


def _discard_lost(engine: AsyncEngine) -> None:
    """A connection that the server closed is never handed out, and nor are those of its age.

    asyncpg notices by itself when one is closed. SQLAlchemy's ``pool_pre_ping`` asks the server each time,
    which is three round trips before every transaction.
    """

    def rested(connection: Any, record: Any) -> None:
        record.info["rested_since"] = time.monotonic()

    def taken(connection: Any, record: Any, proxy: Any) -> None:
        rest = time.monotonic() - record.info.get("rested_since", time.monotonic())
        try:
            if not connection.driver_connection.is_closed() and (
                rest < _PING_AFTER_SECONDS or engine.dialect.do_ping(connection)
            ):
                return
        except (engine.dialect.loaded_dbapi.Error, OSError) as error:
            raise InvalidatePoolError from error
        raise InvalidatePoolError

    event.listen(engine.sync_engine, "checkin", rested)
    event.listen(engine.sync_engine, "checkout", taken)
