"""Logs in the graph: pages of an instance's lines, and its lines as they come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing
from dataclasses import field
from datetime import datetime
from typing import Annotated

import strawberry

from app.access import find
from app.access.actor import Actor
from app.graphql.connection import Edge, PageInfo
from app.graphql.context import Context, Info
from app.live.fanout import Batch
from app.live.shared import Answers
from app.live.watch import while_allowed
from app.logs import service
from app.ports import logs as port
from app.ports.logs import LogFilter, LogLevel, LogStream


@strawberry.type(description="One line that a container wrote.")
class LogLine:
    cursor: str
    timestamp: datetime = strawberry.field(
        description="When it arrived, by the platform's clock: never before that of the line above."
    )
    message: str = strawberry.field(
        description="Without escape sequences and control characters. JSON stays as it was written."
    )
    stream: LogStream
    level: LogLevel | None = strawberry.field(
        description="From JSON's `level`, `severity` and the like, or common patterns; null without any."
    )
    container_id: str
    deployment_id: strawberry.ID | None = strawberry.field(
        description="The deployment that brought its container."
    )
    cut_bytes: int = strawberry.field(
        description="So many bytes at its end were left out, for it was too long."
    )

    @classmethod
    def of(cls, line: port.LogLine) -> LogLine:
        return cls(
            cursor=service.encode_cursor(line.position),
            timestamp=line.timestamp,
            message=line.message,
            stream=line.stream,
            level=line.level,
            container_id=line.container_id,
            deployment_id=strawberry.ID(line.deployment_id) if line.deployment_id else None,
            cut_bytes=min(line.cut, 2**31 - 1),
        )


@strawberry.input(description="Every condition that is given must hold.")
class LogFilterInput:
    since: datetime | None = None
    until: datetime | None = strawberry.field(default=None, description="Exclusive.")
    text: str | None = strawberry.field(
        default=None, description="Contained in the message, in upper or lower case."
    )
    levels: list[LogLevel] | None = None
    streams: list[LogStream] | None = None
    container_id: str | None = None
    deployment_id: strawberry.ID | None = None

    def checked(self) -> LogFilter:
        return service.filter_of(
            since=self.since,
            until=self.until,
            text=self.text,
            levels=self.levels,
            streams=self.streams,
            container_id=self.container_id,
            deployment_id=self.deployment_id,
        )


@strawberry.type(
    description="Lines, oldest first: without a size the last 100, or the first 100 `after` a cursor."
)
class LogLineConnection:
    edges: list[Edge[LogLine]]
    page_info: PageInfo
    gap: bool = strawberry.field(description="Lines right after `after` are not kept any more.")

    @strawberry.field(description="The edges' nodes.")
    def nodes(self) -> list[LogLine]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="Lines of an instance, in order.")
class LogEvent:
    lines: list[LogLine]
    dropped: int = strawberry.field(
        description="So many lines before these were not sent, because this client reads too slowly."
    )
    gap: bool = strawberry.field(description="Lines before these are lost, nobody knows how many.")
    cursor: str = strawberry.field(description="To go on from, with `after`.")
    answers: strawberry.Private[Answers] = field(default_factory=Answers)


_shown: OrderedDict[Hashable, LogEvent] = OrderedDict()
"""The last events: viewers of one instance get the same ones."""
_SHOWN = 256


async def page_of(
    context: Context,
    instance_id: str,
    filter: LogFilterInput | None,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> LogLineConnection:
    container = context.container
    page = await service.read(
        container.logs,
        container.settings,
        instance_id,
        _checked(filter),
        first=first,
        after=after,
        last=last,
        before=before,
    )
    edges = [Edge(cursor=line.cursor, node=line) for line in map(LogLine.of, page.lines)]
    return LogLineConnection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=page.more_after,
            has_previous_page=page.more_before,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        gap=page.gap,
    )


@strawberry.type
class LogSubscriptions:
    @strawberry.subscription(
        description="An instance's lines as they come, of all of its containers: from `after` on, or from now."
        " The first event comes at once, so that there is a cursor to go on from after a reconnect."
    )
    async def logs(
        self,
        info: Info,
        instance_id: strawberry.ID,
        filter: LogFilterInput | None = None,
        after: Annotated[
            str | None, strawberry.argument(description="A `cursor` of this instance's logs.")
        ] = None,
    ) -> AsyncGenerator[LogEvent, None]:
        context, wanted = info.context, _checked(filter)
        database = context.container.database

        async def allowed(actor: Actor) -> None:
            async with database.read_session() as session:
                await find.instance(session, actor, id=instance_id)

        events = _events(context, instance_id, wanted, after)
        async with aclosing(while_allowed(context, allowed, events)) as shown:
            async for event in shown:
                yield event


async def _events(
    context: Context, instance_id: str, wanted: LogFilter, after: str | None
) -> AsyncGenerator[LogEvent, None]:
    position = None
    if after is not None:
        position = service.decode_cursor(after, "after")
        await context.container.logs.check(instance_id, position)
    told = False
    async with aclosing(context.container.log_feeds.subscribe(instance_id, position)) as batches:
        async for batch in batches:
            lines = [line for line in batch.lines if wanted.accepts(line)]
            if told and not (lines or batch.dropped or batch.gap):
                continue
            told = True
            yield _event(instance_id, batch, lines)


def _event(instance_id: str, batch: Batch[port.LogLine], lines: Sequence[port.LogLine]) -> LogEvent:
    positions = tuple(line.position for line in lines)
    key = (instance_id, positions, batch.dropped, batch.gap, batch.cursor)
    event = _shown.get(key)
    if event is None:
        event = _shown[key] = LogEvent(
            lines=[LogLine.of(line) for line in lines],
            dropped=batch.dropped,
            gap=batch.gap,
            cursor=service.encode_cursor(batch.cursor),
        )
        if len(_shown) > _SHOWN:
            _shown.popitem(last=False)
    return event


def _checked(filter: LogFilterInput | None) -> LogFilter:
    return LogFilter() if filter is None else filter.checked()
