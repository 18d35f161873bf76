"""Many connections, hostile ones, and what is left when they are gone."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
import websockets
from graphql import get_introspection_query

from app.access.actor import OPERATOR
from app.live import websocket
from app.live.sockets import MAX_MESSAGE_BYTES
from app.settings import Settings
from app.tokens import service as tokens
from tests.conftest import free_port
from tests.live.client import connect, events
from tests.live.conftest import Live, until

_STATUS = "subscription($id: ID!) { instanceStatus(instanceId: $id) { status } }"
_EVENTS = "subscription($id: ID!) { instanceEvents(instanceId: $id) { kind } }"


def _checked_out(live: Live) -> int:
    return int(live.database.engine.pool.checkedout())  # type: ignore[attr-defined]


async def test_fifty_open_subscriptions_hold_no_database_session(live: Live) -> None:
    _, token = await live.token()
    async with AsyncExitStack() as stack:
        for _ in range(5):
            socket = await stack.enter_async_context(connect(live.url, token=token))
            for _ in range(5):
                watching = await socket.start(_STATUS, id=live.placed.instance.id)
                await socket.next(watching)
                await socket.start(_EVENTS, id=live.placed.instance.id)
        await until(lambda: live.wakes.subscriptions == 50 + 5)  # and one for each caller
        await until(lambda: _checked_out(live) == 0)


async def test_nothing_is_left_of_clients_that_left(live: Live) -> None:
    _, token = await live.token()
    instance_id = live.placed.instance.id
    async with (
        connect(live.url, token=token) as socket,
        connect(live.url, token=token) as lost,
        events(live.url, token, _STATUS, id=instance_id) as stream,
    ):
        for each in (socket, lost):
            await each.next(await each.start(_STATUS, id=instance_id))
        await anext(stream)
        assert live.endpoint.doors.open == 3
        lost.connection.transport.abort()
    await live.until_nothing_is_open()


async def test_completed_operation_is_released_while_its_socket_stays(live: Live) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        watching = await socket.start(_STATUS, id=live.placed.instance.id)
        await socket.next(watching)
        await until(lambda: live.wakes.subscriptions == 2)
        await socket.send({"id": watching, "type": "complete"})
        await until(lambda: live.wakes.subscriptions == 1)


async def test_server_that_stops_closes_sockets_and_streams_so_that_clients_return(
    live: Live,
) -> None:
    _, token = await live.token()
    instance_id = live.placed.instance.id
    async with (
        connect(live.url, token=token) as socket,
        events(live.url, token, _STATUS, id=instance_id) as stream,
    ):
        await socket.next(await socket.start(_STATUS, id=instance_id))
        await anext(stream)
        live.server.should_exit = True
        assert (await socket.closed())[0] == 1012
        async with asyncio.timeout(5):
            assert [name for name, _ in [event async for event in stream]] == []


async def test_socket_that_says_nothing_is_closed(live: Live) -> None:
    live.endpoint.connection_init_wait_timeout *= 0.01
    async with connect(live.url) as socket:
        assert (await socket.closed())[0] == 4408


@pytest.mark.parametrize(
    "message",
    [
        "[" * 100_000,
        "nonsense",
        json.dumps([1]),
        json.dumps({"type": 1}),
        json.dumps({"type": "unheard-of"}),
        json.dumps({"type": "subscribe", "id": "1", "payload": 1}),
        json.dumps({"type": "subscribe", "id": "1", "payload": {"query": 1}}),
        json.dumps({"type": "subscribe", "id": ["1"], "payload": {"query": "{a}"}}),
        json.dumps({"type": "complete", "id": "1" * 1000}),
        b"\0\1",
    ],
    ids=lambda message: str(message)[:40],
)
async def test_message_that_is_none_closes_the_socket_and_is_no_bug(
    live: Live, caplog: pytest.LogCaptureFixture, message: Any
) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        await socket.connection.send(message)
        assert (await socket.closed())[0] == 4400
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_too_large_a_message_closes_the_socket(live: Live) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        await socket.send({"type": "ping", "payload": {"x": "x" * MAX_MESSAGE_BYTES}})
        assert (await socket.closed())[0] == 1009


async def test_second_init_and_a_subscription_before_the_first_close_the_socket(live: Live) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        await socket.send({"type": "connection_init"})
        assert (await socket.closed())[0] == 4429
    async with connect(live.url) as socket:
        await socket.send(
            {"type": "subscribe", "id": "1", "payload": {"query": "{ viewer { user { id } } }"}}
        )
        assert (await socket.closed())[0] == 4401


async def test_operations_beyond_the_limit_are_refused_one_by_one(live: Live) -> None:
    live.endpoint.max_subscriptions_per_connection = 3
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        kept = [await socket.start(_EVENTS, id=live.placed.instance.id) for _ in range(3)]
        refused = await socket.start(_EVENTS, id=live.placed.instance.id)
        message = await socket.next(refused)
        assert (message["type"], "limit" in message["payload"][0]["message"]) == ("error", True)
        await socket.send({"id": kept[0], "type": "complete"})
        watching = await socket.start(_STATUS, id=live.placed.instance.id)
        assert (await socket.next(watching))["type"] == "next"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("subscription { instanceEvents(instanceId: 1) { kind } viewer { user { id } } }", None),
        ("{" + " viewer { tokens { edges { node { " * 9 + "id" + "}}}}" * 9 + "}", "LIMIT_REACHED"),
        (
            "{ " + " ".join(f"a{n}: viewer {{ user {{ id }} }}" for n in range(90)) + " }",
            "LIMIT_REACHED",
        ),
        ('{ node(id: "app_\\u0000") { id } }', "INVALID"),
    ],
    ids=["invalid", "deep", "aliases", "unclean"],
)
async def test_limits_on_documents_hold_on_a_socket_too(
    live: Live, document: str, code: str | None
) -> None:
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        message = await socket.next(await socket.start(document))
    assert message["type"] == "error"
    assert message["payload"][0].get("extensions", {}).get("code") == code


async def test_failure_inside_is_masked_and_the_socket_lives(
    live: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("app.access.find.instance", broken)
    _, token = await live.token()
    async with connect(live.url, token=token) as socket:
        (payload,) = [each async for each in socket.subscribe(_STATUS, id=live.placed.instance.id)]
        (error,) = payload["errors"]
        assert error["extensions"]["code"] == "INTERNAL"
        assert "secret" not in json.dumps(payload)
        assert error["extensions"]["requestId"] in caplog.text
        (answer,) = [each async for each in socket.subscribe("{ viewer { user { name } } }")]
        assert answer["data"]["viewer"]["user"]["name"] == "ada"


class TestLimitedConnections:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            api_port=free_port(),
            wildcard_base="apps.test",
            live_connections=4,
            live_connections_per_address=3,
            live_connections_per_token=2,
        )

    async def test_of_a_token(self, live: Live) -> None:
        _, token = await live.token()
        async with connect(live.url, token=token), connect(live.url, token=token):
            async with connect(live.url) as third:
                await third.send(
                    {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
                )
                assert (await third.closed())[0] == 4429
            headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
            body = {"query": _EVENTS, "variables": {"id": live.placed.instance.id}}
            async with httpx2.AsyncClient() as client:
                answer = await client.post(live.url + "/graphql", json=body, headers=headers)
            assert answer.status_code == 429
        await live.until_nothing_is_open()
        async with connect(live.url, token=token):
            pass

    async def test_of_an_address_with_or_without_a_token(self, live: Live) -> None:
        async with connect(live.url), connect(live.url), connect(live.url):
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with connect(live.url):
                    pass
        assert refused.value.response.status_code == 429
        await live.until_nothing_is_open()


@pytest.mark.slow
async def test_client_that_does_not_read_is_still_sent_away(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fills what the kernel buffers; then its token is revoked, and nothing waits for it."""
    monkeypatch.setattr(websocket, "_CLOSING_SECONDS", 0.05)
    token_id, token = await live.token()
    async with connect(live.url, token=token) as socket:
        socket.connection.transport.pause_reading()
        for _ in range(30):
            await socket.start(get_introspection_query())
        async with live.database.write_transaction() as session:
            await tokens.revoke(session, OPERATOR, token_id)
        await live.until_nothing_is_open()
        socket.connection.transport.abort()
