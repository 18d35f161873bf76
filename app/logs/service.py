"""Reading an instance's logs, for whoever may see the instance: nothing here asks who that is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.errors import InvalidInput, LimitReached
from app.ports.logs import (
    LogFilter,
    LogLevel,
    LogLine,
    LogPage,
    LogStore,
    LogStream,
    NoSuchCursor,
)
from app.settings import Settings

DEFAULT_LINES = 100
MOST_LINES = 1000
_LONGEST_TEXT = 1000
_CURSOR = "log:"


def filter_of(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    text: str | None = None,
    levels: Collection[LogLevel] | None = None,
    streams: Collection[LogStream] | None = None,
    container_id: str | None = None,
    deployment_id: str | None = None,
) -> LogFilter:
    """Raises InvalidInput. A time without a zone is UTC."""
    if text is not None and len(text) > _LONGEST_TEXT:
        raise InvalidInput(
            f"A text to look for has at most {_LONGEST_TEXT} characters.", field="text"
        )
    return LogFilter(
        since=_zoned(since),
        until=_zoned(until),
        text=text or "",
        levels=frozenset(levels or ()),
        streams=frozenset(streams or ()),
        container_id=container_id or "",
        deployment_id=deployment_id or "",
    )


async def read(
    store: LogStore,
    settings: Settings,
    instance_id: str,
    filter: LogFilter,
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> LogPage:
    """Without a size: the last lines, or the first ones ``after`` a cursor.

    Raises InvalidInput for a size or cursor that is none, LimitReached.
    """
    if first is not None and last is not None:
        raise InvalidInput("Give `first` or `last`, not both.", field="last")
    name, size = ("last", last) if last is not None else ("first", first)
    if size is not None and size < 0:
        raise InvalidInput(f"`{name}` must not be negative.", field=name)
    if size is not None and size > MOST_LINES:
        raise LimitReached(
            f"`{name}` may be at most {MOST_LINES}.",
            field=name,
            hint="Ask for the next page with a cursor.",
        )
    return await store.page(
        instance_id,
        kept(filter, settings),
        limit=DEFAULT_LINES if size is None else size,
        after=None if after is None else decode_cursor(after, "after"),
        before=None if before is None else decode_cursor(before, "before"),
        backward=last is not None or (first is None and after is None),
    )


def kept(filter: LogFilter, settings: Settings) -> LogFilter:
    """Pruning goes in steps; what is older than what is kept is not shown, pruned already or not."""
    oldest = datetime.now(UTC) - timedelta(hours=settings.log_keep_hours)
    return replace(filter, since=max(filter.since or oldest, oldest))


def encode_cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"{_CURSOR}{position}".encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, field: str) -> int:
    """Raises NoSuchCursor."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        digits = text.removeprefix(_CURSOR)
        if text.startswith(_CURSOR) and digits.isdigit() and len(digits) < 19:
            return int(digits)
    except (ValueError, binascii.Error):
        pass
    raise NoSuchCursor(
        f"`{field}` is not a cursor of a log.",
        field=field,
        hint="Pass a `cursor`, `startCursor` or `endCursor` of the same logs, unchanged.",
    )


def as_text(line: LogLine) -> str:
    """For a terminal."""
    time = line.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    level = "" if line.level is None else f" {line.level.upper()}"
    cut = f" … ({line.cut:,} bytes more)" if line.cut else ""
    return f"{time} {line.container_id[:8]} {line.stream}{level} {line.message}{cut}"


def _zoned(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
