"""A router between the client and the platform holds nothing back."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from app.adapters.local.traefik import binary
from app.events import queries, service
from app.events.graphql import EVENTS
from app.graphql.connection import encode_cursor
from app.models import EventKind
from tests.conftest import free_port
from tests.live.client import PATIENCE, connect, events
from tests.live.conftest import Live

_EVENTS = """
    subscription($id: ID!, $after: String) {
      instanceEvents(instanceId: $id, after: $after) { payload }
    }
"""

pytestmark = pytest.mark.slow


@pytest.fixture
async def behind(live: Live, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a Traefik that sends everything on to the server."""
    port = free_port()
    routes = {
        "http": {
            "routers": {"api": {"rule": "PathPrefix(`/`)", "service": "api"}},
            "services": {"api": {"loadBalancer": {"servers": [{"url": live.url}]}}},
        }
    }
    (tmp_path / "routes.yaml").write_text(json.dumps(routes))
    static = {
        "entryPoints": {"web": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"filename": str(tmp_path / "routes.yaml"), "watch": False}},
    }
    (tmp_path / "traefik.yaml").write_text(json.dumps(static))
    process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [binary(), "--configFile", str(tmp_path / "traefik.yaml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _until_it_routes(port)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


async def _until_it_routes(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /graphql HTTP/1.0\r\nAccept: text/html\r\n\r\n")
                status = await reader.readline()
                writer.close()
                if b" 200 " in status:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.05)


async def _tell(live: Live, number: int) -> None:
    async with live.database.write_transaction() as session:
        await service.tell_of_instance(
            session, EventKind.SCALE_CHANGED, live.placed.instance.id, {"replicas": number}
        )


async def test_each_event_comes_before_the_next_is_told_over_both_protocols(
    live: Live, behind: str
) -> None:
    _, token = await live.token()
    await _tell(live, 0)
    async with live.database.read_session() as session:
        (first,) = await queries.after(session, 0, instance_id=live.placed.instance.id)
    begin = {"id": live.placed.instance.id, "after": encode_cursor(EVENTS, first)}
    async with (
        events(behind, token, _EVENTS, **begin) as stream,
        connect(behind, token=token) as socket,
        aclosing(socket.subscribe(_EVENTS, **begin)) as messages,
    ):
        for number in range(1, 6):
            await _tell(live, number)
            async with asyncio.timeout(PATIENCE):
                _, data = await anext(stream)
                for answer in (data, await anext(messages)):
                    assert answer["data"]["instanceEvents"]["payload"]["replicas"] == number
