"""SELECTs in Postgres' own words, for what every request asks: who sends it, and a compiled query.

A session of SQLAlchemy's takes eight times the processor's time of such a statement, and a pool of asyncpg's half as
much again as the statement itself. Nothing but SELECTs comes here, so that a connection needs no reset after one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import asyncpg
from sqlalchemy import ColumnElement, Dialect, Select, inspect

_CONNECTIONS = 8
"""More would only wait for each other's processor: what they ask is answered from memory."""
_STATEMENT_SECONDS = 30
_RESTED_SECONDS = 60.0
"""A connection that was not used for so long may have been forgotten by a firewall: it is not used again."""
_PAGE_COST = "0.1"
"""What is asked here is in memory nearly always. With the defaults, which are a disk's, Postgres reads a table
of a hundred rows three hundred times rather than look three hundred times into its index."""
_SERVER_SETTINGS = {
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "seq_page_cost": _PAGE_COST,
    "random_page_cost": _PAGE_COST,
    "statement_timeout": str(_STATEMENT_SECONDS * 1000),
}


class Selects:
    """Connections as they are needed; the one used last is taken first, since it has prepared its statements."""

    def __init__(self, url: str, dialect: Dialect) -> None:
        self._url = _plain(url)
        self._dialect = dialect
        self._room = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        self._written: dict[Select[Any], _Written] = {}

    async def first(
        self, statement: Select[*tuple[Any, ...]], **values: Any
    ) -> tuple[Any, ...] | None:
        """The first result of a SELECT of models: for each an object with its attributes, and nothing more.

        ``statement`` is a constant of its module and has a ``bindparam`` for each of ``values``.
        """
        written = self._written.get(statement)
        if written is None:
            written = self._written[statement] = _Written(statement, self._dialect)
        found = await self.row(written.text, *(values[name] for name in written.parameters))
        return None if found is None else written.objects(found)

    async def row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The first row of a statement with parameters ``$1`` and so on."""
        async with self._room:
            connection = await self._connection()
            try:
                found = await connection.fetchrow(statement, *values)
            except BaseException:
                connection.terminate()
                raise
            self._idle.append((connection, time.monotonic()))
            return found

    async def _connection(self) -> asyncpg.Connection:
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and time.monotonic() - since < _RESTED_SECONDS:
                return connection
            connection.terminate()
        return await asyncpg.connect(self._url, server_settings=_SERVER_SETTINGS)

    async def close(self) -> None:
        """What is still asked ends by itself."""
        while self._idle:
            await self._idle.pop()[0].close(timeout=5)


def _plain(url: str) -> str:
    """As asyncpg itself wants it: without the name of a driver."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


class _Written:
    """A SELECT of models as text, and how its columns become attributes."""

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

    def objects(self, found: asyncpg.Record) -> tuple[Any, ...]:
        values = iter(found)
        return tuple(
            SimpleNamespace(**{name: read(next(values)) for name, read in columns})
            for columns in self._models
        )


def _reader(column: ColumnElement[Any], dialect: Dialect) -> Callable[[Any], Any]:
    return column.type.dialect_impl(dialect).result_processor(dialect, None) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
