"""A thousand open log subscriptions on ten containers.

Everything is as it runs: an agent with ten apps that each write a line a second on average, at random, a worker that collects, an
API process, and a hundred clients that each subscribe to all ten apps over a socket. Each line is the time of
its writing.

- ``added_p99``: from when a reader of the raw file had the line until a subscriber had it, over all lines and
  subscribers;
- ``memory_each``: what the API process grew by for each of them, a tenth of a socket included;
- ``memory_of_one_on_a_socket``: the same of a hundred more that have a socket each, for comparison;
- ``upstream_follows``: how many apps' output the agent has open for a reader.

    make bench-log-subscriptions
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from app.db import Database
from app.models import User
from app.ports.scheduler import JobRef, RolloutStatus
from app.tokens import service as tokens
from bench._figures import figure, keep
from bench.reconcile import database as fresh_database
from jobs import Artifact, JobInput, Scale, render
from jobs.render import secrets_path_of
from tests.agent.machine import Machine, running_machine, until
from tests.conftest import free_port
from tests.factories import Placed, make_instance, make_user

CONTAINERS = 10
SUBSCRIPTIONS = 1000
SECONDS = 20.0
TARGET_ADDED_MS = 100.0
TARGET_KB = 50.0
_REST_SECONDS = 3.0
_REPOSITORY = Path(__file__).resolve().parents[1]
_SAMPLE_APP = _REPOSITORY / "tests" / "contract" / "sample_app"
_APP = """
import http.server, os, random, threading, time
def write():
    while True:
        time.sleep(random.expovariate(1))
        print(time.time_ns(), flush=True)
threading.Thread(target=write, daemon=True).start()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *arguments):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""
_SUBSCRIPTION = """
subscription($id: ID!) {
  logs(instanceId: $id) { cursor dropped gap lines { timestamp message level stream containerId } }
}
"""


class Platform:
    """Agent, API and worker over one database."""

    def __init__(self, machine: Machine, database: Database, api_port: int) -> None:
        self.machine = machine
        self.database = database
        self.url = f"http://127.0.0.1:{api_port}"
        self.environment = {
            **machine.environment,
            "PAAS_LOG_LEVEL": "INFO",
            "PAAS_SCHEDULER": "embedded",
            "PAAS_DATABASE_URL": database.url,
            "PAAS_API_PORT": str(api_port),
            "PAAS_LIVE_CONNECTIONS_PER_TOKEN": str(2 * SUBSCRIPTIONS),
            "PAAS_LIVE_CONNECTIONS_PER_ADDRESS": str(2 * SUBSCRIPTIONS),
        }
        self.api: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Its API and worker."""
        parts = {name: self._start(name) for name in ("app.main", "bench._log_worker")}
        self.api = parts["app.main"]
        try:
            yield
        finally:
            for part in parts.values():
                part.terminate()
            for part in parts.values():
                part.wait(30)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with (self.machine.home / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", name],
                env=self.environment,
                cwd=_REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def answers(self) -> bool:
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"{self.url}/readyz")).status_code == 200

    def resident(self) -> int:
        assert self.api is not None
        return int(psutil.Process(self.api.pid).memory_info().rss)

    def follows(self) -> int:
        """How many descriptors of apps' stdout the agent reads from."""
        assert self.machine.agent is not None
        folder = Path(f"/proc/{self.machine.agent.pid}/fd")
        targets = [os.readlink(each) for each in folder.iterdir()]
        return sum(target.endswith("/stdout.log") for target in targets)


async def start_app(machine: Machine, placed: Placed) -> Path:
    """Its raw output."""
    slugs = (placed.organization.slug, placed.project.slug, placed.app.slug)
    job = render(
        JobInput(
            platform="plt_bench",
            organization=slugs[0],
            project=slugs[1],
            app=slugs[2],
            environment=placed.environment.slug,
            instance_id=placed.instance.id,
            release_id=f"rel_{placed.app.slug}",
            release_number=1,
            commit_sha="c" * 40,
            hostnames=(placed.instance.hostname,),
            container_port=8080,
            artifact=_artifact(machine),
            scale=Scale(replicas=1, cpu_millis=50, memory_mb=64),
            platform_env={},
        ),
        await machine.scheduler.capabilities(),
    )
    job["TaskGroups"][0]["Tasks"][0]["Config"] = {
        "command": "/usr/bin/env",
        "args": ["python3", "-u", "-c", _APP],
    }
    ref = JobRef(job["Namespace"], job["ID"])
    await machine.scheduler.put_secrets(ref, secrets_path_of(ref.id, 1), {})
    await machine.scheduler.submit(job, expected_index=0)

    async def serves() -> bool:
        seen = await machine.scheduler.observe(ref)
        return seen.rollout is not None and seen.rollout.status is RolloutStatus.SUCCEEDED

    await until(serves, f"{ref} serves", seconds=60)
    (copy,) = await machine.scheduler.list_copies(ref)
    return machine.home / "agent" / "copies" / copy.id / "stdout.log"


def _artifact(machine: Machine) -> Artifact:
    return machine.slug(_SAMPLE_APP, "unused")


class Viewer:
    """A socket with subscriptions to some of the apps."""

    def __init__(self, instance_ids: list[str]) -> None:
        self.instance_ids = instance_ids
        self.seen: list[tuple[str, int]] = []
        """Line, and when it was here: nanoseconds."""
        self.ready = asyncio.Event()
        self.missed = 0

    async def watch(self, url: str, token: str) -> None:
        async with websockets.connect(
            url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            compression=None,
            ping_interval=None,
        ) as socket:
            await self._read(socket, token)

    async def _read(self, socket: ClientConnection, token: str) -> None:
        start = {"Authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": start}))
        await socket.recv()
        waiting = set(self.instance_ids)
        for instance_id in self.instance_ids:
            payload = {"query": _SUBSCRIPTION, "variables": {"id": instance_id}}
            message = {"id": instance_id, "type": "subscribe", "payload": payload}
            await socket.send(json.dumps(message))
        async for text in socket:
            now = time.time_ns()
            message = json.loads(text)
            if message["type"] == "next":
                event = message["payload"]["data"]["logs"]
                self.missed += event["dropped"] + event["gap"]
                self.seen += [(line["message"], now) for line in event["lines"]]
                waiting.discard(message["id"])
                if not waiting:
                    self.ready.set()
            elif message["type"] != "ping":
                raise AssertionError(text)


async def measure(platform: Platform, apps: list[Placed], raw: list[Path]) -> dict[str, Any]:
    owner = await make_user(platform.database, apps[0].organization)
    async with platform.database.write_transaction() as session:
        user = await session.get_one(User, owner.user_id)
        _, token = await tokens.create(session, user, "bench")
    instance_ids = [app.instance.id for app in apps]
    warm = Viewer(instance_ids)
    tasks = [asyncio.create_task(warm.watch(platform.url, token))]
    await asyncio.wait_for(warm.ready.wait(), 30)
    await asyncio.sleep(_REST_SECONDS)
    alone, _ = await _opened(platform, token, [[app] for app in instance_ids * 10], tasks)
    memory, viewers = await _opened(
        platform, token, [instance_ids for _ in range(SUBSCRIPTIONS // CONTAINERS)], tasks
    )
    for viewer in viewers:
        viewer.seen.clear()
    gc.collect()
    gc.disable()  # a pause of the clients' process is none of the platform's
    times = await _read_raw(raw, tasks)
    gc.enable()
    follows = platform.follows()
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    added = [
        (at - times[line]) / 1e6 for viewer in viewers for line, at in viewer.seen if line in times
    ]
    return {
        "added_ms": sorted(added),
        "raw_ms": sorted((at - int(line)) / 1e6 for line, at in times.items() if line.isdigit()),
        "memory_bytes": memory,
        "socket_bytes": alone,
        "follows": follows,
        "dropped": sum(viewer.missed for viewer in viewers),
        "lines": len(times),
    }


async def _opened(
    platform: Platform, token: str, wanted: list[list[str]], tasks: list[asyncio.Task[None]]
) -> tuple[float, list[Viewer]]:
    """Open a viewer for each list of apps: what the API grew by for each subscription, and the viewers."""
    before = platform.resident()
    viewers = [Viewer(instance_ids) for instance_ids in wanted]
    for viewer in viewers:
        tasks.append(asyncio.create_task(viewer.watch(platform.url, token)))
        await asyncio.sleep(0.01)
    await asyncio.wait_for(asyncio.gather(*(viewer.ready.wait() for viewer in viewers)), 120)
    await asyncio.sleep(_REST_SECONDS)
    return (platform.resident() - before) / sum(map(len, wanted)), viewers


async def _read_raw(raw: list[Path], tasks: list[asyncio.Task[None]]) -> dict[str, int]:
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._raw_reader", *map(str, raw),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_REPOSITORY, limit=1 << 24,
    )  # fmt: skip
    assert reader.stdout is not None
    assert reader.stdin is not None
    await reader.stdout.readline()
    await asyncio.sleep(SECONDS)
    for task in tasks:
        if task.done():
            task.result()
    reader.stdin.close()
    times: dict[str, int] = json.loads(await reader.stdout.read())
    await reader.wait()
    await asyncio.sleep(1)
    return times


async def main() -> int:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(fresh_database())
        machine = await stack.enter_async_context(running_machine(with_traefik=True))
        platform = Platform(machine, database, free_port())
        apps = [await make_instance(database, app=f"app{n}") for n in range(CONTAINERS)]
        raw = [await start_app(machine, app) for app in apps]
        with platform.running():
            await until(platform.answers, "the API answers", seconds=60)
            found = await measure(platform, apps, raw)
    keep("log_subscriptions", {**found, "added_ms": _sampled(found["added_ms"])})
    return 0 if _report(found) else 1


def _report(found: dict[str, Any]) -> bool:
    added = found["added_ms"]
    expected = found["lines"] * SUBSCRIPTIONS // CONTAINERS
    print(f"log_subscriptions.lines {found['lines']} seen by all: {len(added)} of {expected} -")
    print(f"log_subscriptions.raw_p99 {_percentile(found['raw_ms'], 99):.1f}ms -")
    print(f"log_subscriptions.memory_of_one_on_a_socket {found['socket_bytes'] / 1024:.1f}KB -")
    print(f"log_subscriptions.added_p50 {_percentile(added, 50):.1f}ms -")
    return all(
        [
            figure("log_subscriptions.added_p99", _percentile(added, 99), TARGET_ADDED_MS, "ms"),
            figure("log_subscriptions.memory_each", found["memory_bytes"] / 1024, TARGET_KB, "KB"),
            figure("log_subscriptions.upstream_follows", found["follows"], CONTAINERS),
            figure("log_subscriptions.missed", expected - len(added) + found["dropped"], 0),
        ]
    )


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _sampled(values: list[float]) -> list[float]:
    return values[:: max(1, len(values) // 1000)]


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
