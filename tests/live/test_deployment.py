"""A push going live, as those who watch it see it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from app.builds.log import PROGRESS
from app.db import Database
from app.models import BuildLogLine, BuildStatus
from tests.factories import make_build
from tests.live.client import connect, events
from tests.live.conftest import Live

_WATCH = "subscription($id: ID!) { deployment(id: $id) { status steps { phase status } } }"
_LOG = """
    subscription($id: ID!, $after: String) {
      deploymentLogs(deploymentId: $id, after: $after) { cursor lines { message } }
    }
"""


async def test_push_going_live_is_seen_step_by_step_over_a_socket(live: Live) -> None:
    _, token = await live.token()
    deployment = await live.stage.push(live.placed, "c1")
    async with connect(live.url, token=token) as socket:
        statuses = []
        working = asyncio.create_task(live.stage.driver(live.wakes).run_until_idle())
        async for payload in socket.subscribe(_WATCH, id=deployment.id):
            statuses.append(payload["data"]["deployment"]["status"])
            last = payload["data"]["deployment"]
        await working
    assert statuses[-1] == "SUCCEEDED"
    assert len(statuses) > 2
    assert [step["status"] for step in last["steps"] if step["phase"] != "BUILD"] == [
        "SUCCEEDED"
    ] * 4


async def test_push_going_live_is_seen_over_server_sent_events(live: Live) -> None:
    _, token = await live.token()
    deployment = await live.stage.push(live.placed, "c1")
    async with events(live.url, token, _WATCH, id=deployment.id) as stream:
        name, data = await anext(stream)
        assert (name, data["data"]["deployment"]["status"]) == ("next", "QUEUED")
        working = asyncio.create_task(live.stage.run())
        seen = [event async for event in stream]
        await working
    assert seen[-1] == ("complete", None)
    assert seen[-2][1]["data"]["deployment"]["status"] == "SUCCEEDED"


@pytest.fixture
async def building(live: Live) -> tuple[str, str]:
    """A deployment that waits for a build which runs: their ids."""
    live.stage.builds.held = True
    deployment = await live.stage.push(live.placed, "c1")
    await live.stage.run()
    async with live.database.read_session() as session:
        row = await session.get_one(type(deployment), deployment.id)
    assert row.build_id is not None
    return row.id, row.build_id


async def _write(database: Database, build_id: str, first: int, count: int) -> None:
    async with database.write_transaction() as session:
        session.add_all(
            BuildLogLine(build_id=build_id, number=number, text=f"line {number}")
            for number in range(first, first + count)
        )
        await session.wake(PROGRESS, build_id)


async def test_build_log_read_from_cursor_to_cursor_while_it_is_written_is_whole(
    live: Live, building: tuple[str, str]
) -> None:
    _, token = await live.token()
    deployment_id, build_id = building

    async def write_all() -> None:
        for batch in range(40):
            await _write(live.database, build_id, batch * 5, 5)
        await live.stage.finish_builds()

    writing = asyncio.create_task(write_all())
    seen: list[str] = []
    after: str | None = None
    async with connect(live.url, token=token) as socket:
        while len(seen) < 200:
            stream = socket.subscribe(_LOG, id=deployment_id, after=after)
            async with aclosing(stream):
                payload = await anext(stream)
            assert "errors" not in payload, payload
            event = payload["data"]["deploymentLogs"]
            seen += [line["message"] for line in event["lines"]]
            after = event["cursor"]
        await writing
        rest = [payload async for payload in socket.subscribe(_LOG, id=deployment_id, after=after)]
    assert rest == []
    assert seen == [f"line {number}" for number in range(200)]


async def test_log_of_a_build_that_ended_is_shown_whole_and_completes(live: Live) -> None:
    _, token = await live.token()
    deployment = await live.stage.push(live.placed, "c1")
    await live.stage.run()
    async with live.database.read_session() as session:
        row = await session.get_one(type(deployment), deployment.id)
    assert row.build_id is not None
    await _write(live.database, row.build_id, 0, 1200)
    async with connect(live.url, token=token) as socket:
        payloads = [payload async for payload in socket.subscribe(_LOG, id=row.id)]
    lines = [line for each in payloads for line in each["data"]["deploymentLogs"]["lines"]]
    assert [line["message"] for line in lines] == [f"line {number}" for number in range(1200)]


async def test_cursor_of_something_else_is_refused(live: Live, building: tuple[str, str]) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        stream = socket.subscribe(_LOG, id=building[0], after="nonsense")
        (payload,) = [each async for each in stream]
    assert payload["errors"][0]["extensions"]["code"] == "INVALID"


async def test_strangers_deployment_is_one_that_does_not_exist(live: Live) -> None:
    from tests.factories import make_instance

    elsewhere = await make_instance(live.database, organization="other")
    await make_build(live.database, elsewhere.app, status=BuildStatus.RUNNING)
    theirs = await live.stage.push(elsewhere, "c1")
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        answers = []
        for identifier in (theirs.id, "dep_" + "0" * 26):
            for document in (_WATCH, _LOG):
                stream = socket.subscribe(document, id=identifier)
                (payload,) = [each async for each in stream]
                (error,) = payload["errors"]
                answers.append((error["message"], error["extensions"]))
    assert answers == [answers[0]] * 4
    assert answers[0][1]["code"] == "NOT_FOUND"
