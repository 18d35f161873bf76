"""The GraphQL endpoint on a real port, with one instance on the simulated engine to watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database
from app.graphql.asgi import Endpoint, graphql_app
from app.main import Server, server_config
from app.models import Role, User
from app.ports.repositories import Repositories
from app.reconcile.wake import WakeListener
from app.settings import Settings
from app.tokens import service as tokens
from tests.conftest import free_port
from tests.deployments.stage import Stage
from tests.factories import Placed, make_instance, make_user
from tests.graphql.conftest import OneCommit, Platform
from tests.live.client import PATIENCE


async def until(holds: Callable[[], bool]) -> None:
    """Fails when it does not within PATIENCE."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


@dataclass
class Live:
    """A server that runs, and who may use it."""

    url: str
    database: Database
    settings: Settings
    endpoint: Endpoint
    server: Server
    stage: Stage
    placed: Placed
    ada: Actor
    """Owns the organization."""
    wakes: WakeListener

    async def token(
        self, actor: Actor | None = None, *, expires_at: datetime | None = None
    ) -> tuple[str, str]:
        """A new token's id and secret."""
        async with self.database.write_transaction() as session:
            user = await session.get_one(User, (actor or self.ada).user_id)
            row, secret = await tokens.create(session, user, "test", expires_at)
            return row.id, secret

    async def member(self, name: str, role: Role = Role.DEVELOPER) -> Actor:
        return await make_user(self.database, self.placed.organization, name=name, role=role)

    async def until_nothing_is_open(self) -> None:
        """Every connection's resources are released: the doors count none, and nobody waits for a wake."""
        await until(lambda: not (self.endpoint.doors.open or self.wakes.subscriptions))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path), api_port=free_port(), wildcard_base="apps.test")


@pytest.fixture
async def live(
    database: Database, secret_box: SecretBox, settings: Settings
) -> AsyncIterator[Live]:
    stage = Stage(database, secret_box)
    platform = Platform(
        database,
        secret_box,
        cast("Repositories", OneCommit()),
        settings,
        scheduler=stage.scheduler,
    )
    endpoint = graphql_app(platform)
    application = Starlette(
        routes=[Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)]
    )
    config = server_config(settings, application)
    server = Server(config, stop_streams=endpoint.stop)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    placed = await make_instance(database)
    ada = await make_user(database, placed.organization)
    live = Live(
        settings.external_url,
        database,
        settings,
        endpoint,
        server,
        stage,
        placed,
        ada,
        platform.wakes,
    )
    await platform.wakes.start()
    await platform.wakes.listening()
    yield live
    server.should_exit = True
    await serving
    await platform.wakes.close()
