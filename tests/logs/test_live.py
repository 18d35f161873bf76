"""Logs over the API: pages, and lines as they come, resumed without gap or repeat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.adapters.segments.store import SegmentStore
from app.adapters.segments.writer import SegmentWriter
from app.logs.service import encode_cursor
from app.ports.logs import LogLevel, LogLine, LogStream, Progress
from tests.factories import make_instance, make_user
from tests.live.client import Refused, Socket, connect
from tests.live.conftest import Live
from tests.live.conftest import live as live
from tests.live.conftest import settings as settings

LOGS = """
    subscription($id: ID!, $filter: LogFilterInput, $after: String) {
      logs(instanceId: $id, filter: $filter, after: $after) {
        cursor dropped gap lines { message level stream }
      }
    }
"""
PAGE = """
    query($id: ID!, $filter: LogFilterInput, $first: Int, $after: String, $last: Int, $before: String) {
      node(id: $id) { ... on Instance {
        logs(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
          gap
          pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
          edges { cursor }
          nodes { cursor message level stream containerId deploymentId timestamp cutBytes }
        }
      } }
    }
"""


class Log:
    """Writes as the collector does."""

    def __init__(self, live: Live, writer: SegmentWriter) -> None:
        self.instance_id = live.placed.instance.id
        self._writer = writer
        self._micros = 1_900_000_000_000_000

    def write(self, *messages: str, level: LogLevel | None = None) -> None:
        lines = []
        for message in messages:
            self._micros += 1
            lines.append(LogLine(0, self._micros, LogStream.STDOUT, level, "c1", "dpl_1", message))
        self._writer.append("c1", lines, Progress())


@pytest.fixture
def log(live: Live, tmp_path: Path) -> Iterator[Log]:
    folder = tmp_path / "logs" / "apps" / live.placed.instance.id
    with contextlib.closing(
        SegmentWriter(folder, segment_bytes=2000, segment_seconds=3600)
    ) as writer:
        yield Log(live, writer)


async def query(live: Live, token: str, **variables: Any) -> Any:
    async with httpx2.AsyncClient(base_url=live.url) as http:
        answer = await http.post(
            "/graphql",
            json={"query": PAGE, "variables": variables},
            headers={"Authorization": f"Bearer {token}"},
        )
    return answer.json()


class Viewer:
    def __init__(self, socket: Socket, log: Log) -> None:
        self._socket = socket
        self._log = log
        self.messages: list[str] = []
        self.cursor: str | None = None
        self.gaps = self.dropped = 0

    async def watch(self, until: str | None, **variables: Any) -> None:
        """From where it was, until that line came; None: until there is a cursor."""
        events = self._socket.subscribe(
            LOGS, id=self._log.instance_id, after=self.cursor, **variables
        )
        async with contextlib.aclosing(events):
            async for payload in events:
                event = payload["data"]["logs"]
                self.messages += [line["message"] for line in event["lines"]]
                self.cursor = event["cursor"]
                self.gaps += event["gap"]
                self.dropped += event["dropped"]
                if until is None or until in self.messages:
                    return


async def test_lines_come_as_they_are_written_and_go_on_after_a_reconnect(
    live: Live, log: Log
) -> None:
    _, token = await live.token()
    log.write("old")
    async with connect(live.url, token=token) as socket:
        viewer = Viewer(socket, log)
        await viewer.watch(None)
        log.write(*(f"line {number}" for number in range(30)))
        await viewer.watch("line 29")
    log.write(*(f"line {number}" for number in range(30, 700)))
    async with connect(live.url, token=token) as socket:
        viewer._socket = socket
        await viewer.watch("line 699")
        log.write("last")
        await viewer.watch("last")
    assert viewer.messages == [f"line {number}" for number in range(700)] + ["last"]
    assert (viewer.gaps, viewer.dropped) == (0, 0)


async def test_a_filter_holds_for_what_comes_too(live: Live, log: Log) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        viewer = Viewer(socket, log)
        await viewer.watch(None)
        log.write("fine")
        log.write("Broken", level=LogLevel.ERROR)
        log.write("broken too")
        log.write("the broken end", level=LogLevel.ERROR)
        await viewer.watch("the broken end", filter={"levels": ["ERROR"], "text": "BROKEN"})
    assert viewer.messages == ["Broken", "the broken end"]


async def test_a_cursor_whose_lines_were_pruned_meets_a_gap(
    live: Live, log: Log, tmp_path: Path
) -> None:
    _, token = await live.token()
    log.write("first")
    async with connect(live.url, token=token) as socket:
        viewer = Viewer(socket, log)
        await viewer.watch(None)
        log.write(*(f"line {number}" for number in range(100)))
        for number in range(100):
            log.write(f"more {number}")
        store = SegmentStore(
            tmp_path / "logs" / "apps", keep_bytes=1 << 20, keep=timedelta(hours=1)
        )
        await store.prune(log.instance_id, max_bytes=4000, max_age=timedelta(hours=1))
        await viewer.watch("more 99")
    assert viewer.gaps == 1
    page = (await query(live, token, id=log.instance_id, first=1, after=encode_cursor(1)))["data"]
    assert page["node"]["logs"]["gap"]


@pytest.mark.parametrize("after", ["", "x", "bG9nOjE", "bG9nOi0x", "é"])
async def test_what_is_no_cursor_is_refused(live: Live, log: Log, after: str) -> None:
    _, token = await live.token()
    log.write("one")
    async with connect(live.url, token=token) as socket:
        events = socket.subscribe(LOGS, id=log.instance_id, after=after)
        payload = None
        with contextlib.suppress(Refused):
            payload = await anext(events)
        assert payload is None or payload["errors"]
    errors = (await query(live, token, id=log.instance_id, after=after))["errors"]
    assert errors[0]["extensions"]["code"] == "INVALID"


async def test_a_stranger_finds_no_logs(live: Live, log: Log) -> None:
    elsewhere = await make_instance(live.database, organization="elsewhere")
    stranger = await make_user(live.database, elsewhere.organization, name="eve")
    _, token = await live.token(stranger)
    log.write("secret")
    async with connect(live.url, token=token) as socket:
        events = socket.subscribe(LOGS, id=log.instance_id)
        payload = None
        with contextlib.suppress(Refused):
            payload = await anext(events)
        assert payload is None or payload["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    answer = await query(live, token, id=log.instance_id)
    assert answer["data"]["node"] is None


async def test_many_viewers_are_one_reader_that_leaves_with_the_last(live: Live, log: Log) -> None:
    _, token = await live.token()
    feeds = live.endpoint._container.log_feeds
    async with connect(live.url, token=token) as socket:
        viewers = [Viewer(socket, log) for _ in range(20)]
        watching = [asyncio.create_task(viewer.watch("end")) for viewer in viewers]
        async with asyncio.timeout(10):
            while not all(viewer.cursor for viewer in viewers):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert feeds.upstreams == 1
        log.write("end")
        await asyncio.gather(*watching)
    async with asyncio.timeout(10):
        while feeds.upstreams:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_pages_of_the_graph_go_both_ways(live: Live, log: Log) -> None:
    _, token = await live.token()
    log.write(*(f"line {number}" for number in range(150)), level=LogLevel.WARN)

    async def page(**variables: Any) -> Any:
        answer = await query(live, token, id=log.instance_id, **variables)
        return answer["data"]["node"]["logs"]

    end = await page()
    assert [node["message"] for node in end["nodes"]] == [f"line {n}" for n in range(50, 150)]
    assert end["pageInfo"]["hasPreviousPage"]
    assert end["nodes"][0] == {
        "cursor": end["pageInfo"]["startCursor"],
        "message": "line 50",
        "level": "WARN",
        "stream": "STDOUT",
        "containerId": "c1",
        "deploymentId": "dpl_1",
        "timestamp": end["nodes"][0]["timestamp"],
        "cutBytes": 0,
    }
    before = await page(last=100, before=end["pageInfo"]["startCursor"])
    assert [node["message"] for node in before["nodes"]] == [f"line {n}" for n in range(50)]
    assert not before["pageInfo"]["hasPreviousPage"]
    after = await page(first=3, after=before["nodes"][9]["cursor"])
    assert [node["message"] for node in after["nodes"]] == ["line 10", "line 11", "line 12"]
    since = await page(first=1, filter={"since": end["nodes"][50]["timestamp"]})
    assert since["nodes"][0]["message"] == "line 100"
