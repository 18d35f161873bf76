"""A build's log on its way to the database.

Lines are inserted in batches (every 50 lines or 200 ms), and each batch wakes whoever follows the build. What
is stored is safe to show in a terminal, and holds no value of a build variable.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Collection

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from app.builds import queries
from app.db import Database
from app.models import BuildLogLine, FailureCode
from app.ports.builder import BuildFailed
from app.reconcile.lease import HeldLease, LeaseLost

PROGRESS = "build-progress"
"""What wakes whoever follows a build; not its reconciler, which would look after it at every line."""
BATCH_LINES = 50
BATCH_SECONDS = 0.2
LINE_LIMIT = 2000
MASK = "[hidden]"
_SHORTEST_MASKED = 4
"""Hiding every "1" or "yes" would hide nothing but the log."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class LogUnavailable(Exception):
    """Lines could not be stored: the database is away. The build starts again when it is back."""


class BuildLog:
    """Made by ``build_log``. Lines are numbered from where an interrupted attempt ended."""

    def __init__(
        self,
        database: Database,
        lease: HeldLease,
        build_id: str,
        secrets: Collection[str],
        max_lines: int,
        last_number: int,
    ) -> None:
        self._database = database
        self._lease = lease
        self._build_id = build_id
        self._masks = _masks(secrets)
        self._max_lines = max_lines
        self._number = last_number
        self._left = max_lines
        self._buffer: list[tuple[int, str]] = []
        self._filled = asyncio.Event()
        self._storing = asyncio.Lock()
        self._trouble: Exception | None = None

    async def write(self, line: str) -> None:
        """Store it soon. Raises BuildFailed(BUILD_LIMIT), LogUnavailable or LeaseLost."""
        if self._left <= 0:
            raise BuildFailed(
                FailureCode.BUILD_LIMIT,
                f"The build wrote more than {self._max_lines} lines.",
                "Make the build less talkative, or raise PAAS_BUILD_MAX_LOG_LINES.",
            )
        self._left -= 1
        await self.note(line)

    async def note(self, line: str) -> None:
        """A line of the platform's own: beyond the limit."""
        if self._trouble is not None:
            raise self._trouble
        self._number += 1
        self._buffer.append((self._number, printable(line, self._masks)))
        self._filled.set()
        if len(self._buffer) >= BATCH_LINES:
            await self.flush()

    async def flush(self) -> None:
        """Raises LogUnavailable or LeaseLost."""
        async with self._storing:
            batch, self._buffer = self._buffer, []
            if batch:
                await self._store(batch)

    async def _store(self, batch: list[tuple[int, str]]) -> None:
        rows = [
            {"build_id": self._build_id, "number": number, "text": text} for number, text in batch
        ]
        try:
            async with self._database.write_transaction() as session:
                await self._lease.guard(session)
                await session.execute(insert(BuildLogLine), rows)
                await session.wake(PROGRESS, self._build_id)
        except (SQLAlchemyError, OSError) as error:
            raise LogUnavailable(
                f"the log of {self._build_id} cannot be stored: {error}"
            ) from error

    async def keep_flushing(self) -> None:
        """Trouble is kept for the next ``write``: that is where the build can be stopped."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await asyncio.sleep(BATCH_SECONDS)
            try:
                await self.flush()
            except (LogUnavailable, LeaseLost) as error:
                self._trouble = error
                return


@contextlib.asynccontextmanager
async def build_log(
    database: Database,
    lease: HeldLease,
    build_id: str,
    *,
    secrets: Collection[str],
    max_lines: int,
) -> AsyncIterator[BuildLog]:
    """What is written is stored when the block ends, if it ends well."""
    async with database.read_session() as session:
        last_number = await queries.last_line_number(session, build_id)
    log = BuildLog(database, lease, build_id, secrets, max_lines, last_number)
    flushing = asyncio.create_task(log.keep_flushing(), name=f"log of {build_id}")
    try:
        yield log
    finally:
        flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flushing
    await log.flush()


def printable(line: str, masks: Collection[str] = ()) -> str:
    """The line without escape sequences, control and direction characters, secrets, or excess."""
    clean = _CONTROLS.sub("", _ESCAPES.sub("", line.replace("\t", "    "))).rstrip()
    for secret in masks:
        clean = clean.replace(secret, MASK)
    return clean if len(clean) <= LINE_LIMIT else f"{clean[:LINE_LIMIT]}… (cut)"


def _masks(secrets: Collection[str]) -> list[str]:
    """Longest first, since one may contain another; of a value of several lines, each."""
    parts = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
    return sorted((part for part in parts if len(part) >= _SHORTEST_MASKED), key=len, reverse=True)
