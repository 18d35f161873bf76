"""A dashboard and an app's page over GraphQL, against the same answers made by hand and the plain way.

Three servers, one process each, over one Postgres; each is sent the same two queries by 32 clients at once.

- ``ours``: the platform's API as it is served: who asks, limits, rate limits, rights, one compiled statement;
- ``floor``: a Starlette endpoint, written by hand, that runs one SQL statement through asyncpg, and asks nobody
  who they are;
- ``plain``: Strawberry with data loaders over SQLAlchemy's ORM, as its documentation has it.

20 projects × 3 environments × 5 apps. The answers' ``data`` is compared byte for byte. A figure is the ratio of
requests a second, of the medians of several rounds in turns.

    make bench-graphql
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench._figures import at_least, keep
from bench._graphql_queries import APP, DASHBOARD, PATH, PUBLIC_URL
from bench._graphql_world import populate
from bench.reconcile import database as fresh_database
from tests.conftest import free_port

CLIENTS = 32
ROUNDS = 5
SECONDS = 3.0
OF_FLOOR = 0.5
OF_PLAIN = 10.0
_REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    rates: dict[str, list[float]] = field(default_factory=dict)

    async def ready(self) -> None:
        for _ in range(600):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{self.name} did not start")


def main() -> int:
    return asyncio.run(_measured())


async def _measured() -> int:
    async with fresh_database() as database:
        secret = await populate(database)
        queries = {"dashboard": (DASHBOARD, {"organization": "acme"}), "app": (APP, {"path": PATH})}
        with _servers(database.url) as servers:
            for server in servers:
                await server.ready()
            for name, (document, variables) in queries.items():
                body = json.dumps({"query": document, "variables": variables}).encode()
                await _compare(servers, name, body, secret)
                for turn in range(ROUNDS):
                    for server in servers[turn % 3 :] + servers[: turn % 3]:
                        seconds = SECONDS / (1 if server.name != "plain" else 2)
                        rate = await _rate(server.port, _request(name, body, secret), seconds)
                        server.rates.setdefault(name, []).append(rate)
    keep("graphql", {server.name: server.rates for server in servers})
    return 0 if _told(servers, list(queries)) else 1


def _told(servers: list[Server], queries: list[str]) -> bool:
    rates = {
        server.name: {name: statistics.median(server.rates[name]) for name in queries}
        for server in servers
    }
    for name in queries:
        for server, found in rates.items():
            print(f"graphql.{name}.{server} {found[name]:.1f}/s -")
    holds = [
        at_least(f"graphql.{name}.of_floor", rates["ours"][name] / rates["floor"][name], OF_FLOOR)
        for name in queries
    ]
    ours, plain = rates["ours"]["dashboard"], rates["plain"]["dashboard"]
    holds.append(at_least("graphql.dashboard.of_plain", ours / plain, OF_PLAIN))
    return all(holds)


@contextlib.contextmanager
def _servers(url: str) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        yield [
            stack.enter_context(_server("ours", "app.main", url, folder)),
            stack.enter_context(_server("floor", "bench._graphql_floor", url, folder)),
            stack.enter_context(_server("plain", "bench._graphql_plain", url, folder)),
        ]


@contextlib.contextmanager
def _server(name: str, module: str, url: str, folder: Path) -> Iterator[Server]:
    port = free_port()
    environment = {
        **os.environ,
        "PAAS_HOME": str(folder / name),
        "PAAS_DATABASE_URL": url,
        "PAAS_API_PORT": str(port),
        "PAAS_SCHEDULER": "embedded",
        "PAAS_RATE_LIMIT_TOKEN": "100000000/minute",
        "PAAS_RATE_LIMIT_ADDRESS": "100000000/minute",
        "PAAS_PUBLIC_URL": PUBLIC_URL,
        "PAAS_INGRESS_PORT": "80",
    }
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=environment, cwd=_REPOSITORY, stdout=log, stderr=log
        )
    try:
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait(30)
        if os.environ.get("PAAS_BENCH_LOGS"):
            print((folder / f"{name}.log").read_text()[-3000:], file=sys.stderr)


def _request(name: str, body: bytes, secret: str) -> bytes:
    """As each server has an endpoint at ``/graphql``; the one by hand has one for each query besides."""
    head = (
        f"POST /graphql?{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _compare(servers: list[Server], name: str, body: bytes, secret: str) -> None:
    found = {}
    for server in servers:
        async with _client(server.port) as client:
            answer = await client.ask(_request(name, body, secret))
        start = answer.index(b'{"data":') + len(b'{"data":')
        found[server.name] = answer[start:].rpartition(b',"extensions"')[0] or answer[start:-1]
    assert json.loads(found["floor"]), name
    for server, data in found.items():
        assert data == found["floor"], (
            f"{name}: {server} answers otherwise\n{data[:2000]!r}\n{found['floor'][:2000]!r}"
        )
    print(f"graphql.{name}.bytes {len(found['floor'])} -")


class _Client:
    """As little as can be: what it takes of the processor, the servers do not have."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> bytes:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        lower = head.lower()
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        return await self._reader.readexactly(length)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def _client(port: int) -> AsyncIterator[_Client]:
    client = _Client(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))
    try:
        yield client
    finally:
        await client.close()


async def _rate(port: int, request: bytes, seconds: float) -> float:
    """Requests a second."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(port)) for _ in range(CLIENTS)]
        await asyncio.gather(*(client.ask(request) for client in clients))
        end = time.perf_counter() + seconds

        async def ask(client: _Client) -> int:
            number = 0
            while time.perf_counter() < end:
                await client.ask(request)
                number += 1
            return number

        began = time.perf_counter()
        asked = await asyncio.gather(*map(ask, clients))
        return sum(asked) / (time.perf_counter() - began)


if __name__ == "__main__":
    raise SystemExit(main())
