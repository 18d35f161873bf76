"""Where the platform connects for its users, and where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from app.errors import ExternalFailure, InvalidInput
from app.outbound.client import Outbound
from app.outbound.guard import Guard, parse_networks, valid_url
from tests.conftest import free_port

REFUSED = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:0:0:0:0:80ff:fffe",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "100::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_public_is_refused(address: str) -> None:
    assert not Guard().permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_permitted(address: str) -> None:
    assert Guard().permits(address)


def test_allowed_network_is_permitted_and_no_more() -> None:
    guard = Guard(parse_networks("127.0.0.0/8, fd00::/8"))
    assert guard.permits("127.0.0.1")
    assert guard.permits("::ffff:127.0.0.1")
    assert guard.permits("fd00::1")
    assert not guard.permits("10.0.0.1")
    with pytest.raises(InvalidInput):
        parse_networks("localhost")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:///x",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://example.com/#x",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://example.com\\@evil.com/",
        "https://ex\u00e4mple.com/",
        "https://[::1/",
        "https://example.com/" + "x" * 2000,
        "",
    ],
)
def test_url_that_is_not_plainly_one_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        valid_url(url, Guard())


@pytest.fixture
async def site() -> AsyncIterator[tuple[int, list[web.Request]]]:
    """On loopback: redirects at ``/away``, streams without end at ``/endless``, sleeps at ``/slow``."""
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        if request.path == "/away":
            raise web.HTTPFound("/elsewhere")
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65536)
        return web.Response(text="thanks")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield port, seen
    await runner.cleanup()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "127.1", "2130706433", "0x7f.1", "0"],
)
async def test_no_spelling_of_loopback_is_connected_to(
    site: tuple[int, list[web.Request]], host: str
) -> None:
    port, seen = site
    with pytest.raises(ExternalFailure):
        await Outbound(Guard()).post(f"http://{host}:{port}/", b"", {})
    assert seen == []


async def test_name_that_leads_to_another_place_the_second_time_gains_nothing(
    site: tuple[int, list[web.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = site
    answers = iter(["1.1.1.1", "127.0.0.1"])
    loop = asyncio.get_running_loop()
    asked: list[Any] = []

    async def rebinding(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", (next(answers), port))]

    connected: list[Any] = []

    async def connect(_: Any, sock: Any, address: Any) -> None:
        connected.append(address[0])
        raise OSError("not from here")

    monkeypatch.setattr(loop, "getaddrinfo", rebinding, raising=False)
    monkeypatch.setattr(type(loop), "sock_connect", connect, raising=False)
    with pytest.raises(ExternalFailure):
        await Outbound(Guard()).post(f"https://rebind.example:{port}/", b"", {})
    assert asked == ["rebind.example"]
    assert connected in ([], ["1.1.1.1"])
    assert seen == []


async def test_redirect_is_an_answer_and_is_not_followed(
    site: tuple[int, list[web.Request]],
) -> None:
    port, seen = site
    outbound = Outbound(Guard(parse_networks("127.0.0.1/32")))
    reply = await outbound.post(f"http://127.0.0.1:{port}/away", b"", {})
    assert reply.status == 302
    assert [request.path for request in seen] == ["/away"]


async def test_endless_and_silent_answers_are_cut_off(
    site: tuple[int, list[web.Request]],
) -> None:
    port, _ = site
    outbound = Outbound(Guard(parse_networks("127.0.0.0/8")), seconds=0.5)
    reply = await outbound.post(f"http://localhost:{port}/endless", b"", {})
    assert reply.excerpt == "x" * 1000
    with pytest.raises(ExternalFailure, match=r"no answer within 0\.5 s"):
        await outbound.post(f"http://127.0.0.1:{port}/slow", b"", {})


async def test_plain_http_is_only_for_allowed_networks() -> None:
    with pytest.raises(ExternalFailure, match="use https://"):
        await Outbound(Guard(parse_networks("127.0.0.0/8"))).post("http://1.1.1.1/", b"", {})
