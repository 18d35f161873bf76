"""A WebSocket that is opened with a session's cookie: a script can give it no header, so the origin decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from app.models import User
from tests.identity.conftest import URL, Browser, Build, Site

EVIL = "https://evil.example.net"


async def _opened(site: Site, first: Mapping[str, Any] | None = None, **headers: str) -> list[Any]:
    """What the server answered to the handshake, and to a first message, until it accepted or closed."""
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("203.0.113.7", 1),
        "server": ("paas.example.com", 443),
        "subprotocols": ["graphql-transport-ws"],
        "scheme": "wss",
        "extensions": {"websocket.http.response": {}},
    }
    given: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    given.put_nowait({"type": "websocket.connect"})
    if first is not None:
        given.put_nowait({"type": "websocket.receive", "text": json.dumps(first)})
    told: list[Any] = []
    done = asyncio.Event()

    async def send(message: Any) -> None:
        told.append(message.get("status") or message.get("code") or message["type"])
        if first is None or message["type"] in {"websocket.send", "websocket.close"}:
            done.set()

    serving = asyncio.create_task(site.app(scope, given.get, send))
    told_enough = asyncio.create_task(done.wait())
    await asyncio.wait({serving, told_enough}, return_when="FIRST_COMPLETED")
    told_enough.cancel()
    given.put_nowait({"type": "websocket.disconnect", "code": 1001})
    await serving
    return told


async def test_a_page_of_another_origin_opens_no_socket(site: Site, signed_in: Browser) -> None:
    cookie = f"__Host-paas_session={signed_in.cookie}"
    foreign: list[dict[str, str]] = [
        {"origin": EVIL},
        {"origin": "null"},
        {},
        {"origin": URL, "sec-fetch-site": "same-site"},
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
    ]
    for headers in foreign:
        assert (await _opened(site, None, cookie=cookie, **headers))[0] == 403, headers
    own = await _opened(site, {"type": "connection_init"}, cookie=cookie, origin=URL)
    assert own == ["websocket.accept", "websocket.send"]


async def test_a_socket_with_a_token_needs_no_origin_of_ours(site: Site, ada: User) -> None:
    header = f"Bearer {await site.token(ada)}"
    told = await _opened(site, {"type": "connection_init"}, authorization=header)
    assert told == ["websocket.accept", "websocket.send"]


async def test_guessing_over_sockets_ends_too(build: Build) -> None:
    site = build(rate_limit_failures="3/minute")
    for number in range(3):
        payload = {"Authorization": f"Bearer paas_{number}"}
        told = await _opened(site, {"type": "connection_init", "payload": payload})
        assert told[-1] in {4401, 4403}, told
    assert await _opened(site) == [1013]
