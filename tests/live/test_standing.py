"""A credential that is no good any more ends what it opened; a right that was lost ends what it showed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
import websockets
from sqlalchemy import delete, update

from app.access import members
from app.access.actor import OPERATOR
from app.models import ApiToken, User
from app.sessions import service as sessions
from app.sessions.cookies import cookie_name
from app.tokens import service as tokens
from tests.live.client import connect, events
from tests.live.conftest import Live

_EVENTS = "subscription($id: ID!) { instanceEvents(instanceId: $id) { kind } }"
_STATUS = "subscription($id: ID!) { instanceStatus(instanceId: $id) { status } }"
SOON = 1.0
"""Seconds within which a revocation must be felt, which is less than any poll of ours takes."""


async def _revoke(live: Live, token_id: str) -> None:
    async with live.database.write_transaction() as session:
        await tokens.revoke(session, OPERATOR, token_id)


async def test_revoked_token_closes_its_sockets_within_a_second_and_no_other(live: Live) -> None:
    token_id, token = await live.token()
    _, other = await live.token()
    async with (
        connect(live.url, token=token) as first,
        connect(live.url, token=token) as second,
        connect(live.url, token=other) as kept,
    ):
        for socket in (first, second, kept):
            watching = await socket.start(_STATUS, id=live.placed.instance.id)
            await socket.next(watching)
        await _revoke(live, token_id)
        async with asyncio.timeout(SOON):
            for socket in (first, second):
                code, reason = await socket.closed()
                assert code == 4403
                assert "revoked" in reason
        again = await kept.start(_STATUS, id=live.placed.instance.id)
        assert (await kept.next(again))["type"] == "next"


async def test_revoked_token_ends_an_event_stream_with_the_reason(live: Live) -> None:
    token_id, token = await live.token()
    async with events(live.url, token, _STATUS, id=live.placed.instance.id) as stream:
        await anext(stream)
        await _revoke(live, token_id)
        async with asyncio.timeout(SOON):
            rest = [event async for event in stream]
    (name, data), last = rest
    assert (name, data["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
    assert last == ("complete", None)


async def test_token_that_expires_closes_its_socket(live: Live) -> None:
    _, token = await live.token(expires_at=datetime.now(UTC) + timedelta(seconds=0.5))
    async with connect(live.url, token=token) as socket:
        assert (await socket.closed())[0] == 4403


async def test_token_whose_row_is_gone_closes_its_socket(live: Live) -> None:
    token_id, token = await live.token()
    async with connect(live.url, token=token) as socket:
        async with live.database.write_transaction() as session:
            await session.execute(delete(ApiToken).where(ApiToken.id == token_id))
        async with asyncio.timeout(SOON):
            assert (await socket.closed())[0] == 4403


async def test_removed_member_sees_the_instance_vanish_and_keeps_the_socket(live: Live) -> None:
    bob = await live.member("bob")
    _, token = await live.token(bob)
    async with connect(live.url, token=token) as socket:
        async with aclosing(socket.subscribe(_STATUS, id=live.placed.instance.id)) as stream:
            await anext(stream)
            async with live.database.write_transaction() as session:
                user = await session.get_one(User, bob.user_id)
                await members.remove(session, OPERATOR, live.placed.organization, user)
            async with asyncio.timeout(SOON):
                (payload,) = [each async for each in stream]
        assert payload["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        (answer,) = [each async for each in socket.subscribe("{ viewer { user { name } } }")]
        assert answer["data"]["viewer"]["user"]["name"] == "bob"


async def test_operator_who_is_none_any_more_sees_other_tenants_vanish(live: Live) -> None:
    root = await live.member("root")
    async with live.database.write_transaction() as session:
        await session.execute(update(User).where(User.name == "root").values(is_admin=True))
        user = await session.get_one(User, root.user_id)
        await members.remove(session, OPERATOR, live.placed.organization, user)
    _, token = await live.token(root)
    async with connect(live.url, token=token) as socket:
        stream = socket.subscribe(_STATUS, id=live.placed.instance.id)
        async with aclosing(stream):
            assert "errors" not in await anext(stream)
            async with live.database.write_transaction() as session:
                await session.execute(update(User).values(is_admin=False))
            async with asyncio.timeout(SOON):
                assert (await anext(stream))["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "payload",
    [{}, {"Authorization": "Bearer paas_nonsense"}, {"Authorization": ["x"]}, {"token": ""}],
    ids=["none", "unknown", "a list", "empty"],
)
async def test_socket_without_a_good_token_is_closed(live: Live, payload: object) -> None:
    async with connect(live.url) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert (await socket.closed())[0] == 4401


async def test_bad_token_in_the_handshake_opens_nothing(live: Live) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(live.url, headers={"Authorization": "Bearer paas_nonsense"}):
            pass
    assert refused.value.response.status_code == 401


async def test_token_in_the_handshake_needs_none_in_the_payload(live: Live) -> None:
    _, token = await live.token()
    async with connect(live.url, headers={"Authorization": f"Bearer {token}"}) as socket:
        await socket.init()
        (answer,) = [each async for each in socket.subscribe("{ viewer { user { name } } }")]
    assert answer["data"]["viewer"]["user"]["name"] == "ada"


async def test_page_of_another_origin_opens_no_socket(live: Live) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(live.url, headers={"Origin": "https://evil.example.com"}):
            pass
    assert refused.value.response.status_code == 403


async def test_event_stream_without_a_token_says_so_and_completes(live: Live) -> None:
    async with events(live.url, "", _EVENTS, id=live.placed.instance.id) as stream:
        (name, data), last = [event async for event in stream]
    assert (name, data["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
    assert last == ("complete", None)


async def test_session_of_our_own_page_opens_a_socket_which_ends_with_it(live: Live) -> None:
    async with live.database.write_transaction() as session:
        user = await session.get_one(User, live.ada.user_id)
        row, secret = await sessions.start(
            session, live.settings, user, address="127.0.0.1", user_agent="test"
        )
    cookie = {"Cookie": f"{cookie_name(live.settings)}={secret}"}
    async with connect(live.url, headers=cookie | {"Origin": live.url}) as socket:
        await socket.init()
        await socket.next(await socket.start(_STATUS, id=live.placed.instance.id))
        async with live.database.write_transaction() as session:
            await sessions.revoke(session, OPERATOR, row.id)
        async with asyncio.timeout(SOON):
            assert (await socket.closed())[0] == 4403


@pytest.mark.parametrize("origin", [{}, {"Origin": "https://evil.example.com"}])
async def test_session_cookie_that_another_page_makes_a_browser_send_opens_nothing(
    live: Live, origin: dict[str, str]
) -> None:
    async with live.database.write_transaction() as session:
        user = await session.get_one(User, live.ada.user_id)
        _, secret = await sessions.start(
            session, live.settings, user, address="127.0.0.1", user_agent="test"
        )
    cookie = {"Cookie": f"{cookie_name(live.settings)}={secret}"}
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(live.url, headers=cookie | origin):
            pass
    assert refused.value.response.status_code == 403
