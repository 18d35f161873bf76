"""The database: one engine, read sessions, and the only place that commits.

Services receive a session and never commit it. ``write_transaction()`` commits when its block ends
and rolls back when it raises, so a failed mutation leaves nothing behind. Wake-ups are sent with
``notify`` inside the transaction: Postgres delivers them at commit, or never.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import ColumnElement, Dialect, Select, event, inspect, text
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

if TYPE_CHECKING:
    from app.access.actor import Actor

WAKE_CHANNEL = "paas_wake"
_PING_AFTER_SECONDS = 30.0
"""Of rest: what a connection missed meanwhile (a firewall that forgot it), a question finds out."""
_PLAIN_CONNECTIONS = 8
"""More would only wait for each other's processor: what they ask is answered from memory."""
_STATEMENT_SECONDS = 30
_PAGE_COST = "0.1"
"""What is asked here is in memory nearly always. With the defaults, which are a disk's, Postgres reads a table
of a hundred rows three hundred times rather than look three hundred times into its index."""
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


def plain_url(url: str) -> str:
    """As asyncpg itself wants it: without the name of a driver."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


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
        self._plain: asyncpg.Pool | None = None
        self._written: dict[Select[Any], _Written] = {}
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

    async def first(
        self, statement: Select[*tuple[Any, ...]], **values: Any
    ) -> tuple[Any, ...] | None:
        """The first result of a SELECT of models: for each an object with its attributes, and nothing more.

        ``statement`` is a constant of its module and has a ``bindparam`` for each of ``values``.
        """
        written = self._written.get(statement)
        if written is None:
            written = self._written[statement] = _Written(statement, self.engine.dialect)
        found = await self.fetch_row(written.text, *(values[name] for name in written.parameters))
        return None if found is None else written.rows(found)

    async def fetch_row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The first row of a SELECT in Postgres' own words, ``$1`` and so on.

        For what every request asks: a session of SQLAlchemy's takes eight times the processor's time.
        """
        pool = await self._pool()
        return await pool.fetchrow(statement, *values)

    async def _pool(self) -> asyncpg.Pool:
        """Connects when it is first used, and lets go of what was not used for minutes."""
        if self._plain is None:
            self._plain = asyncpg.create_pool(
                plain_url(self.url),
                min_size=0,
                max_size=_PLAIN_CONNECTIONS,
                reset=_nothing_to_reset,
                server_settings={
                    "jit": "off",
                    "plan_cache_mode": "force_generic_plan",
                    "seq_page_cost": _PAGE_COST,
                    "random_page_cost": _PAGE_COST,
                    "statement_timeout": str(_STATEMENT_SECONDS * 1000),
                },
            )
        return await self._plain

    async def close(self) -> None:
        await self.engine.dispose()
        if self._plain is not None:
            await self._plain.close()


class _Written:
    """A SELECT of models as text, and how its columns become theirs."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = compiled.string
        self.parameters: list[str] = list(compiled.positiontup or ())
        selected = iter(statement.selected_columns)
        self._models = []
        for described in statement.column_descriptions:
            mapper = inspect(described["entity"])
            columns = [next(selected) for _ in mapper.column_attrs]
            names = [mapper.get_property_by_column(mapper.c[each.key]).key for each in columns]
            readers = [_reader(each, dialect) for each in columns]
            self._models.append(list(zip(names, readers, strict=True)))

    def rows(self, found: asyncpg.Record) -> tuple[Any, ...]:
        values = iter(found)
        return tuple(
            SimpleNamespace(**{name: read(next(values)) for name, read in columns})
            for columns in self._models
        )


def _reader(column: ColumnElement[Any], dialect: Dialect) -> Callable[[Any], Any]:
    return column.type.dialect_impl(dialect).result_processor(dialect, None) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


async def _nothing_to_reset(_: object) -> None:
    """A SELECT leaves nothing behind in its connection."""


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
