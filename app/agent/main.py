"""``paas agent``: the embedded engine's process.

SIGTERM ends the agent and leaves every app running, for the next agent to adopt. SIGINT (Ctrl-C), or
``POST /v1/shutdown`` on its socket, stops the apps' processes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from app.agent.api import platform_api, router_api
from app.agent.docker import DockerDriver
from app.agent.engine import Engine
from app.agent.http import Endpoint
from app.agent.router import Router, RouterSettings
from app.agent.slugs import SlugCache
from app.agent.store import Store
from app.agent.user import app_user, place_apps
from app.errors import ExternalFailure
from app.settings import Settings

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Until it is told to end. Raises ExternalFailure when it cannot start."""
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    home = settings.home_path
    home.mkdir(parents=True, exist_ok=True)
    store = Store(home, place_apps(home))
    store.prepare()
    with _only_one(store.folder):
        engine = _engine(settings, store)
        ending = _Ending()
        with (
            _unix_listener(store.folder / "agent.sock") as platform,
            _loopback_listener(settings.agent_port) as traefik,
        ):
            await engine.start()
            await _serve_until(
                ending,
                engine,
                (platform_api(engine, ending.shut_down_apps), platform),
                (router_api(engine), traefik),
            )


class _Ending:
    """Why and how the agent ends."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.done = asyncio.Event()
        self.stop_apps = False
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.leave)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def leave(self) -> None:
        self.asked.set()

    def _interrupt(self) -> None:
        self.stop_apps = True
        self.asked.set()

    async def shut_down_apps(self) -> None:
        """Returns when no app's process is left."""
        self._interrupt()
        await self.done.wait()


async def _serve_until(
    ending: _Ending, engine: Engine, *served: tuple[Starlette, socket.socket]
) -> None:
    servers = [_Server(_config(application)) for application, _ in served]
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, (_, listener) in zip(servers, served, strict=True)
    ]
    asked = asyncio.create_task(ending.asked.wait())
    await asyncio.wait([asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if ending.stop_apps:
        await engine.shutdown()
    else:
        await engine.detach()
    ending.done.set()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


class _Server(uvicorn.Server):
    """Two in one process, neither of which may take the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(application: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        loop="asyncio",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def _engine(settings: Settings, store: Store) -> Engine:
    api = Endpoint("127.0.0.1", settings.ingress_api_port)
    return Engine(
        store,
        SlugCache(store.apps / "slugs", settings.home_path / "slugs"),
        Router(RouterSettings(api)),
        app_user(),
        DockerDriver(store),
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two agents would each start every app. The kernel drops the lock with its holder."""
    descriptor = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExternalFailure(
                f"Another agent already runs for {folder.parent}.",
                hint="Stop it, or set PAAS_HOME to another folder.",
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _unix_listener(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        previous = os.umask(0o177)
        try:
            listener.bind(str(path))
        except OSError as error:
            raise ExternalFailure(
                f"The agent cannot open its socket {path}: {error}",
                hint="A socket's path may have about 100 characters: set PAAS_HOME to a shorter one.",
            ) from error
        finally:
            os.umask(previous)
        yield listener
        path.unlink(missing_ok=True)


@contextmanager
def _loopback_listener(port: int) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise ExternalFailure(
                f"The agent cannot listen on 127.0.0.1:{port}: {error.strerror}",
                hint="Stop what has the port, or set PAAS_AGENT_PORT to another.",
            ) from error
        yield listener
