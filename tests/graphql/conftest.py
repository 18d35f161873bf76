"""The GraphQL API over ASGI, on a real database: ``await api(document, as_=actor, **variables)``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from sqlalchemy import event

from app.access.actor import Actor
from app.adapters.memory.ingress import MemoryIngress
from app.adapters.memory.scheduler import MemoryScheduler
from app.adapters.segments.store import SegmentStore
from app.crypto import SecretBox
from app.db import Database
from app.errors import NotFound
from app.graphql.asgi import graphql_app
from app.live.fanout import Fanouts
from app.logs.feed import feeds
from app.models import User
from app.ports.builder import SlugStore
from app.ports.logs import LogLine, LogStore
from app.ports.repositories import Commit, Repositories
from app.reconcile.wake import WakeListener
from app.settings import Settings
from app.tokens import service as tokens
from tests.services.conftest import BASE, World
from tests.services.conftest import world as world

SHA = "c0ffee" + "0" * 34


class OneCommit:
    """The part of Repositories that deployments read: every repository has one commit, on main."""

    def __init__(self) -> None:
        self.missing = False

    async def resolve(self, key: str, ref: str) -> str | None:
        if self.missing:
            raise NotFound("There is no such repository.")
        return SHA if ref in {"main", "refs/heads/main", SHA} else None

    async def commit(self, key: str, sha: str) -> Commit | None:
        return Commit(sha, "First", "Olga", datetime(2026, 1, 1, tzinfo=UTC))


class SignedNowhere:
    """The part of SlugStore that rendering a job needs."""

    def url(self, sha256: str) -> str:
        return f"https://paas.example.com/slugs/{sha256}"


@dataclass(frozen=True)
class Platform:
    """The parts of a container that the API uses."""

    database: Database
    secret_box: SecretBox
    repositories: Repositories
    settings: Settings
    engine: str = "embedded"
    slugs: SlugStore = field(default_factory=lambda: cast("SlugStore", SignedNowhere()))
    scheduler: MemoryScheduler = field(default_factory=MemoryScheduler)

    @cached_property
    def wakes(self) -> WakeListener:
        return WakeListener(self.database.url)

    @cached_property
    def logs(self) -> LogStore:
        return SegmentStore(
            self.settings.home_path / "logs" / "apps",
            keep_bytes=1 << 20,
            keep=timedelta(hours=1),
            poll_seconds=0.005,
        )

    @cached_property
    def log_feeds(self) -> Fanouts[LogLine]:
        return feeds(self.logs)

    @cached_property
    def ingress(self) -> MemoryIngress:
        return MemoryIngress(self.scheduler)


@dataclass
class Api:
    """A client. ``statements`` holds the SQL of everything since ``counting()`` began."""

    platform: Platform
    http: httpx2.AsyncClient
    _tokens: dict[str, str] = field(default_factory=dict)

    async def token_of(self, actor: Actor) -> str:
        assert actor.user_id is not None
        if actor.user_id not in self._tokens:
            async with self.platform.database.write_transaction() as session:
                user = await session.get(User, actor.user_id)
                assert user is not None
                _, self._tokens[actor.user_id] = await tokens.create(session, user, "test")
        return self._tokens[actor.user_id]

    async def post(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        as_: Actor | None = None,
    ) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {await self.token_of(as_)}"} if as_ else {}
        body = {"query": document, "variables": dict(variables or {})}
        return await self.http.post("/graphql", json=body, headers=headers)

    async def __call__(self, document: str, *, as_: Actor, **variables: Any) -> Any:
        """The answer's ``data``, of a request without any error."""
        response = await self.post(document, variables, as_=as_)
        answer = response.json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def errors(self, document: str, *, as_: Actor | None = None, **variables: Any) -> Any:
        """The answer's ``errors``, of which there must be some."""
        response = await self.post(document, variables, as_=as_)
        return response.json()["errors"]

    @contextmanager
    def counting(self) -> Iterator[list[str]]:
        """The SELECTs that run meanwhile; the token's own check is left out."""
        statements: list[str] = []

        def record(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("SELECT") and "api_token.secret_hash" not in statement:
                statements.append(statement)

        engine = self.platform.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", record)
        try:
            yield statements
        finally:
            event.remove(engine, "before_cursor_execute", record)


@pytest.fixture
def repositories() -> OneCommit:
    return OneCommit()


@pytest.fixture
async def platform(
    database: Database, secret_box: SecretBox, repositories: OneCommit, tmp_path: Path
) -> Platform:
    settings = Settings(
        home=str(tmp_path), wildcard_base=BASE, public_url="https://paas.example.com"
    )
    return Platform(database, secret_box, cast("Repositories", repositories), settings)


@pytest.fixture
async def api(platform: Platform) -> AsyncIterator[Api]:
    transport = httpx2.ASGITransport(graphql_app(platform))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Api(platform, http)


@pytest.fixture
async def by_loaders(platform: Platform) -> AsyncIterator[Api]:
    """``api`` where Strawberry answers everything: nothing is compiled."""
    transport = httpx2.ASGITransport(graphql_app(platform, compiled=False))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Api(platform, http)


@pytest.fixture
async def operator(world: World) -> Actor:
    """A user who operates the platform, and is a member of nothing."""
    async with world.database.write_transaction() as session:
        user = User(id="usr_" + "0" * 26, name="operator", is_admin=True)
        session.add(user)
    return Actor(user_id=user.id, name=user.name, is_admin=True)
