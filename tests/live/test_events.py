"""What happened to an instance, read as it happens and from a cursor."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from app.access.actor import OPERATOR
from app.adapters.memory.cluster import Behaviour
from app.db import WriteSession
from app.events import service as events_service
from app.instances import service as instances
from app.instances.plan import EnvVarChange
from app.models import EventKind, Instance
from tests.live.client import Socket, connect
from tests.live.conftest import Live

_EVENTS = """
    subscription($id: ID!, $after: String) {
      instanceEvents(instanceId: $id, after: $after) { kind message payload cursor deploymentId }
    }
"""


async def _take(
    socket: Socket, live: Live, count: int, after: str | None = None
) -> list[dict[str, Any]]:
    stream = socket.subscribe(_EVENTS, id=live.placed.instance.id, after=after)
    async with aclosing(stream):
        return [(await anext(stream))["data"]["instanceEvents"] for _ in range(count)]


async def _begin(live: Live, token: str) -> str:
    """A first event's cursor, to read on from: the connection and the subscription share them."""
    async with live.database.write_transaction() as session:
        await _tell(session, live, 0)
    document = (
        "query($id: ID!) { node(id: $id) { ... on Instance { events { edges { cursor } } } } }"
    )
    async with connect(live.url, token=token) as socket:
        stream = socket.subscribe(document, id=live.placed.instance.id)
        (answer,) = [payload async for payload in stream]
    assert "errors" not in answer, answer
    (edge,) = answer["data"]["node"]["events"]["edges"]
    return str(edge["cursor"])


async def _tell(session: WriteSession, live: Live, number: int) -> None:
    await events_service.tell_of_instance(
        session, EventKind.SCALE_CHANGED, live.placed.instance.id, {"replicas": number}
    )


async def test_deployments_variables_and_scale_are_told_in_order(live: Live) -> None:
    _, token = await live.token()
    begin = await _begin(live, token)
    good = await live.stage.push(live.placed, "c1")
    await live.stage.run()
    bad = await live.stage.push(live.placed, "c2", behaviour=Behaviour.CRASHES)
    await live.stage.run()
    async with live.database.write_transaction() as session:
        instance = await session.get_one(Instance, live.placed.instance.id)
        change = {"A_KEY": EnvVarChange("a secret value", None)}
        await instances.set_env_vars(
            session, OPERATOR, instance, live.stage.box, change, deploy=False
        )
        await instances.set_scale(session, OPERATOR, instance, replicas=2)
    async with connect(live.url, token=token) as socket:
        told = await _take(socket, live, 7, begin)
    assert [(each["kind"], each["deploymentId"]) for each in told] == [
        ("DEPLOYMENT_CREATED", good.id),
        ("DEPLOYMENT_SUCCEEDED", good.id),
        ("DEPLOYMENT_CREATED", bad.id),
        ("DEPLOYMENT_FAILED", bad.id),
        ("VARIABLES_CHANGED", None),
        ("SCALE_CHANGED", None),
        ("DEPLOYMENT_CREATED", told[6]["deploymentId"]),
    ]
    assert told[3]["payload"]["code"] == "crash_loop"
    assert told[4]["message"] == "Variables changed: set A_KEY (staged)."
    assert "a secret value" not in str(told)


@pytest.mark.slow
async def test_events_read_one_by_one_from_cursors_while_many_are_told_are_all_there(
    live: Live,
) -> None:
    _, token = await live.token()
    after: str | None = await _begin(live, token)

    async def tell_all(first: int) -> None:
        for number in range(first, first + 20):
            async with live.database.write_transaction() as session:
                await _tell(session, live, number)

    telling = asyncio.gather(tell_all(1), tell_all(21), tell_all(41))
    seen: list[int] = []
    async with connect(live.url, token=token) as socket:
        while len(seen) < 60:
            (event,) = await _take(socket, live, 1, after)
            seen.append(event["payload"]["replicas"])
            after = event["cursor"]
    await telling
    assert sorted(seen) == list(range(1, 61))


async def test_without_a_cursor_only_what_happens_from_now_on_is_told(live: Live) -> None:
    _, token = await live.token()
    await _begin(live, token)
    async with connect(live.url, token=token) as socket:
        stream = socket.subscribe(_EVENTS, id=live.placed.instance.id)
        async with aclosing(stream):
            first = asyncio.ensure_future(anext(stream))
            while not first.done():
                async with live.database.write_transaction() as session:
                    await _tell(session, live, 7)
                await asyncio.wait([first], timeout=0.2)
            assert first.result()["data"]["instanceEvents"]["payload"]["replicas"] == 7
