"""The story of ``paas up``: lock the home, clear what a dead run left, start all, show the demo, watch, stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from app.errors import ExternalFailure, PaasError
from app.settings import Settings
from app.up import admin_token, children, lock, ports
from app.up.children import ChildSpec, Files
from app.up.demo import Demo
from app.up.supervisor import Say, Supervisor

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    engine: Literal["embedded", "nomad"]
    demo: bool


class Engine(Protocol):
    """What an engine's module of this package offers."""

    def needs(self, settings: Settings) -> list[ports.Need]: ...

    def components(self, settings: Settings, say: Say) -> AsyncIterator[ChildSpec]:
        """In the order of starting; each is made when the one before it is ready."""
        ...


def _engine(name: Literal["embedded", "nomad"]) -> Engine:
    if name == "nomad":
        from app.up import nomad

        return nomad
    from app.up import embedded

    return embedded


def up(settings: Settings, options: Options, say: Say) -> None:
    """Returns after an orderly stop. Raises ExternalFailure when it cannot come up, having stopped all."""
    home = prepare_home(settings.home_path)
    with lock.held(home) as previous:
        if previous is not None:
            say(f"The last `paas up` (process {previous.pid}) ended without stopping anything.")
        _clear_leftovers(Files(home), say)
        asyncio.run(_Up(settings, options, say).run())


def prepare_home(home: Path) -> Path:
    """Make the folder: others may pass through it (Postgres' user must), but list nothing.

    Raises ExternalFailure when it cannot be made or written to.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise ExternalFailure(
            f"The home folder {home} cannot be made: {error.strerror}.",
            hint="Set PAAS_HOME to a folder that you may write to.",
        ) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise ExternalFailure(
            f"The home folder {home} cannot be written to.",
            hint="Set PAAS_HOME to a folder that you may write to.",
        )
    Files(home).prepare()
    return home


def _clear_leftovers(files: Files, say: Say) -> None:
    left = children.leftovers(files)
    for leftover in reversed(left):
        say(f"Stopping what it left: {leftover.name} (process {leftover.pid})")
        children.end_leftover(leftover)


class _Up:
    def __init__(self, settings: Settings, options: Options, say: Say) -> None:
        self._settings = settings
        self._options = options
        self._say = say
        self._supervisor = Supervisor(Files(settings.home_path), say)

    async def run(self) -> None:
        """Start and show; wait for a signal; stop. A signal during the start stops it at once."""
        signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, signals.put_nowait, number)
        story = asyncio.create_task(self._start())
        interrupt = asyncio.create_task(signals.get())
        try:
            await asyncio.wait({story, interrupt}, return_when=asyncio.FIRST_COMPLETED)
            if story.done():
                story.result()
                await interrupt
        finally:
            story.cancel()
            await asyncio.wait({story})
            await self._stop(signals)

    async def _start(self) -> None:
        engine = _engine(self._options.engine)
        ports.check(engine.needs(self._settings))
        async for spec in engine.components(self._settings, self._say):
            await self._supervisor.start(spec)
        token = await admin_token.ensure(self._settings)
        demo = Demo(self._settings, token, self._say) if self._options.demo else None
        shown = demo is not None and await self._shown(demo)
        self._say(_summary(self._settings, demo.url if demo is not None and shown else None))

    async def _shown(self, demo: Demo) -> bool:
        """Whether the demo answers. When it does not, the platform stays up: it is there to look why."""
        try:
            await demo.bring_up()
        except PaasError as error:
            self._say(f"The demo is not up: {error.message}")
            if error.hint:
                self._say(f"  {error.hint}")
            return False
        return True

    async def _stop(self, signals: asyncio.Queue[signal.Signals]) -> None:
        self._say("Stopping everything (once more to kill it at once)")
        stop = asyncio.create_task(self._supervisor.stop())
        again = asyncio.create_task(signals.get())
        await asyncio.wait({stop, again}, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if not stop.done():
            stop.cancel()
            await asyncio.wait({stop})
            self._say("Killed.")
            return
        stop.result()
        self._say("Stopped. Nothing of it runs any more; its data is kept.")


def _summary(settings: Settings, demo_url: str | None) -> str:
    rows = [
        ("Demo app", demo_url),
        ("API", f"{settings.external_url}/"),
        ("GraphiQL", f"{settings.external_url}/graphql"),
        ("Sign in", f"{settings.external_url}/auth/  (a password: paas admin user password admin)"),
        ("Token", str(admin_token.token_file(settings))),
        ("Logs", str(Files(settings.home_path).logs)),
    ]
    lines = [f"       {name:<10}{value}" for name, value in rows if value]
    return "\n".join(["The platform is up. Ctrl-C stops it.", "", *lines, ""])
