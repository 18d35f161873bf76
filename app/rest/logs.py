"""What an app in one environment writes: as JSON, and as text for a terminal."""

from __future__ import annotations

from datetime import datetime

from app.access import find
from app.errors import InvalidInput
from app.logs import service
from app.ports.logs import LogFilter, LogLevel, LogLine, LogPage, LogStream
from app.rest.endpoint import Answer, Given, PlainText, ReadCall, read


class LogQuery(Given, frozen=True):
    """Without a size: the last 100 lines, or the first 100 after a cursor."""

    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    level: str | None = None
    """One or several, with commas between: ``warn,error``."""
    stream: str | None = None
    """``stdout``, ``stderr`` or ``system``; likewise."""
    container: str | None = None
    deployment: str | None = None
    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


class InstanceLogLine(Answer, frozen=True):
    cursor: str
    timestamp: datetime
    """When it arrived."""
    stream: LogStream
    level: LogLevel | None
    container_id: str
    deployment_id: str | None
    message: str
    cut_bytes: int
    """So many bytes at its end were left out."""

    @classmethod
    def of(cls, line: LogLine) -> InstanceLogLine:
        return cls(
            cursor=service.encode_cursor(line.position),
            timestamp=line.timestamp,
            stream=line.stream,
            level=line.level,
            container_id=line.container_id,
            deployment_id=line.deployment_id or None,
            message=line.message,
            cut_bytes=line.cut,
        )


class InstanceLog(Answer, frozen=True):
    lines: list[InstanceLogLine]
    """Oldest first."""
    has_previous: bool
    has_next: bool
    gap: bool
    """Lines right after the cursor asked for are not kept any more."""


async def show_logs(call: ReadCall[LogQuery]) -> InstanceLog:
    """What the app's containers write, newest page first."""
    page = await _page(call)
    return InstanceLog(
        lines=[InstanceLogLine.of(line) for line in page.lines],
        has_previous=page.more_before,
        has_next=page.more_after,
        gap=page.gap,
    )


async def show_logs_as_text(call: ReadCall[LogQuery]) -> PlainText:
    """The same as text, a line each."""
    page = await _page(call)
    return PlainText(text="".join(f"{service.as_text(line)}\n" for line in page.lines))


async def _page(call: ReadCall[LogQuery]) -> LogPage:
    instance = await find.instance(call.session, call.actor, slugs=call.slugs("app", "env"))
    await call.session.close()  # files are read from here on, and may be long
    query, container = call.input, call.container
    return await service.read(
        container.logs,
        container.settings,
        instance.id,
        _filter(query),
        first=query.first,
        after=query.after,
        last=query.last,
        before=query.before,
    )


def _filter(query: LogQuery) -> LogFilter:
    return service.filter_of(
        since=query.since,
        until=query.until,
        text=query.text,
        levels=[LogLevel(word) for word in _words(query.level, LogLevel, "level")],
        streams=[LogStream(word) for word in _words(query.stream, LogStream, "stream")],
        container_id=query.container,
        deployment_id=query.deployment,
    )


def _words(given: str | None, kind: type[LogLevel] | type[LogStream], field: str) -> list[str]:
    words = [word.strip().lower() for word in (given or "").split(",") if word.strip()]
    known = [str(each) for each in kind]
    for word in words:
        if word not in known:
            raise InvalidInput(
                f"{word[:50]!r} is no {field}.",
                field=field,
                hint=f"Possible are: {', '.join(known)}.",
            )
    return words


_LOGS = "/api/orgs/{org}/projects/{project}/apps/{app}/envs/{env}/logs"

ENDPOINTS = (
    read(_LOGS, show_logs, InstanceLog, LogQuery),
    read(_LOGS + ".txt", show_logs_as_text, PlainText, LogQuery),
)
