"""Somebody at a terminal, and a platform: its real API on a socket, real rows, real git, a simulated engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from click.testing import CliRunner

from app.cli.main import main
from app.container import open_container
from app.crypto import load_secret_box
from app.db import Database
from app.main import create_app, server_config
from app.ports.logs import LogStore
from app.settings import Settings
from app.tokens.issue import issue
from tests.conftest import free_port
from tests.deployments.stage import Stage


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


@dataclass
class Terminal:
    """Commands run in ``folder``, a clone with one commit, as a person without anything else set up."""

    stage: Stage
    database: Database
    host: str
    token: str
    folder: Path
    environment: dict[str, str]
    logs: LogStore

    async def paas(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Ran:
        """In this process, which saves Python's start; its output is no terminal."""
        return await asyncio.to_thread(self._run, arguments, stdin, env or {})

    def _run(self, arguments: tuple[str, ...], stdin: str, env: Mapping[str, str]) -> Ran:
        told = {**self.environment, **env}
        told |= {name: None for name in os.environ if name.startswith("PAAS_") and name not in told}  # type: ignore[misc]
        before = Path.cwd()
        with CliRunner().isolation(input=stdin, env=told) as (out, err, _):
            os.chdir(self.folder)
            try:
                main(list(arguments))
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                os.chdir(before)
            return Ran(code, out.getvalue().decode(), err.getvalue().decode())

    async def ok(self, *arguments: str, stdin: str = "") -> Ran:
        ran = await self.paas(*arguments, stdin=stdin)
        assert ran.code == 0, ran
        return ran

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """As a process of its own, for what does not end by itself. It heeds SIGINT as at a terminal: what a
        shell runs in the background ignores it, and so would all that is started from there."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.cli.main",
            *arguments,
            cwd=self.folder,
            env=self.environment,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def git(self, *arguments: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            ["git", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() or done.stderr.strip()

    async def token_of(self, user: str) -> str:
        async with self.database.write_transaction() as session:
            return await issue(session, user_name=user, token_name="test", is_admin=False)


@asynccontextmanager
async def terminal(database: Database, folder: Path) -> AsyncIterator[Terminal]:
    port = free_port()
    settings = Settings(
        home=str(folder / "platform"),
        database_url=database.url,
        scheduler="embedded",
        api_port=port,
        public_url=f"http://127.0.0.1:{port}",
    )
    (folder / "platform").mkdir()
    stage = Stage(database, load_secret_box(settings))
    opened = await open_container(settings, role="api")
    container = replace(opened, scheduler=stage.scheduler, ingress=stage.ingress)
    async with _serving(settings, create_app(container)), _working(stage):
        async with database.write_transaction() as session:
            token = await issue(session, user_name="ada", token_name="laptop", is_admin=True)
        yield Terminal(
            stage=stage,
            database=database,
            host=f"http://127.0.0.1:{port}",
            token=token,
            folder=_clone(folder),
            environment=_person(folder),
            logs=container.logs,
        )
    await container.close()
    await stage.scheduler.close()


@asynccontextmanager
async def _serving(settings: Settings, application: Any) -> AsyncIterator[None]:
    server = uvicorn.Server(server_config(settings, application))
    task = asyncio.create_task(server._serve())  # `serve` would take the test's signal handlers
    async with asyncio.timeout(30):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        if hasattr(application.state, "stop_streams"):
            application.state.stop_streams()
        server.should_exit = True
        await task


@asynccontextmanager
async def _working(stage: Stage) -> AsyncIterator[None]:
    async def work() -> None:
        while True:
            await stage.run()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _clone(folder: Path) -> Path:
    work = folder / "shop"
    work.mkdir()
    (work / "Procfile").write_text("web: python3 main.py\n")
    (work / ".gitignore").write_text("ignored\n")
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "First"],
    ):
        subprocess.run(["git", *command], cwd=work, env=_person(folder), check=True)
    return work


def _person(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
    }
