"""Made from operations/logs.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.cli.client.shared import Page
from app.cli.client.transport import Client, Operation


class LogRow(Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: datetime
    message: str
    stream: str
    level: str | None
    container_id: str
    deployment_id: str | None
    cut_bytes: int


class LogPageOnInstanceLogs(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[LogRow]
    page_info: Page


class LogPageOnInstance(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="__typename", tag="Instance"
):
    logs: LogPageOnInstanceLogs


LogLevel = Literal["DEBUG", "ERROR", "INFO", "WARN"]


LogStream = Literal["STDERR", "STDOUT", "SYSTEM"]


class LogFilterInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    container_id: str | None = None
    deployment_id: str | None = None
    levels: Sequence[LogLevel] | None = None
    since: datetime | None = None
    streams: Sequence[LogStream] | None = None
    text: str | None = None
    until: datetime | None = None


class LogFeed(Struct, frozen=True, kw_only=True, rename="camel"):
    lines: list[LogRow]
    dropped: int
    gap: bool
    cursor: str


_LOG_PAGE = Operation[LogPageOnInstance | None](
    """
query LogPage($id: ID!, $filter: LogFilterInput, $last: Int) {
  node(id: $id) {
    __typename
    ... on Instance {
      logs(filter: $filter, last: $last) {
        nodes {
          ...LogRow
        }
        pageInfo {
          ...Page
        }
      }
    }
  }
}

fragment LogRow on LogLine {
  timestamp
  message
  stream
  level
  containerId
  deploymentId
  cutBytes
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    LogPageOnInstance | None,
)


def log_page(
    client: Client, *, id: str, filter: LogFilterInput | None = None, last: int | None = None
) -> LogPageOnInstance | None:
    return client.execute(_LOG_PAGE, {"id": id, "filter": filter, "last": last})


_LOG_FEED = Operation[LogFeed](
    """
subscription LogFeed($instanceId: ID!, $filter: LogFilterInput, $after: String) {
  logs(instanceId: $instanceId, filter: $filter, after: $after) {
    lines {
      ...LogRow
    }
    dropped
    gap
    cursor
  }
}

fragment LogRow on LogLine {
  timestamp
  message
  stream
  level
  containerId
  deploymentId
  cutBytes
}
""",
    LogFeed,
)


def log_feed(
    client: Client,
    *,
    instance_id: str,
    filter: LogFilterInput | None = None,
    after: str | None = None,
) -> Iterator[LogFeed]:
    return client.subscribe(
        _LOG_FEED, {"instanceId": instance_id, "filter": filter, "after": after}
    )
