"""The whole API, limits and all, and browsers that go there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import pytest
from argon2 import PasswordHasher

from app.access import users
from app.access.actor import OPERATOR
from app.container import Container
from app.crypto import SecretBox
from app.db import Database
from app.main import create_app, server_config
from app.models import User
from app.ports.repositories import Repositories
from app.settings import Settings
from app.tokens import service as tokens
from app.users import passwords
from tests.graphql.conftest import OneCommit, Platform
from tests.services.conftest import BASE

URL = "https://paas.example.com"
PASSWORD = "correct horse battery"


@dataclass
class Browser:
    """With a jar of cookies; it says where its pages come from, as browsers do."""

    http: httpx2.AsyncClient
    csrf: str | None = None
    origin: str | None = URL
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        sent = dict(self.extra)
        if self.origin is not None:
            sent["Origin"] = self.origin
        if self.csrf is not None:
            sent["X-CSRF-Token"] = self.csrf
        return sent

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        return await self.http.post(path, json=body, headers={**self.headers, **headers})

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.http.get(path, headers={**self.extra, **headers})

    async def sign_in(self, login: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
        response = await self.post("/auth/sign-in", {"login": login, "password": password})
        assert response.status_code == 200, response.text
        return self.signed_in(response)

    def signed_in(self, response: httpx2.Response) -> dict[str, Any]:
        answer: dict[str, Any] = response.json()
        self.csrf = answer["csrfToken"]
        return answer

    async def who(self) -> str | None:
        """The name of who is signed in."""
        user = (await self.get("/auth/session")).json()["user"]
        return None if user is None else user["name"]

    async def graphql(self, document: str, **variables: Any) -> Any:
        response = await self.post("/graphql", {"query": document, "variables": variables})
        answer = response.json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get("__Host-paas_session")


@dataclass
class Site:
    database: Database
    platform: Platform
    settings: Settings
    app: Any
    """The application, behind what the server does about proxies."""
    _stack: AsyncExitStack

    async def browser(self, address: str = "203.0.113.7") -> Browser:
        transport = httpx2.ASGITransport(self.app, client=(address, 40000))
        client = httpx2.AsyncClient(transport=transport, base_url=URL)
        return Browser(await self._stack.enter_async_context(client))

    async def user(
        self, name: str, *, email: str | None = None, password: str | None = PASSWORD
    ) -> User:
        hashed = None if password is None else _hash_of(password)
        async with self.database.write_transaction() as session:
            user = await users.create(session, OPERATOR, name=name)
            user.email, user.password_hash = email, hashed
        return user

    async def token(self, user: User) -> str:
        async with self.database.write_transaction() as session:
            _, secret = await tokens.create(session, user, "test")
        return secret


_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real parameters cost 0.1 s of a processor each time, on purpose."""


def _hash_of(password: str) -> str:
    return _CHEAP.hash(password)


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", lambda: _CHEAP)
    passwords._nobodys.cache_clear()


Build = Callable[..., Site]


@pytest.fixture
async def build(
    database: Database, secret_box: SecretBox, cheap_hashes: None
) -> AsyncIterator[Build]:
    """A site with these settings besides the usual ones."""

    async with AsyncExitStack() as stack:

        def made(**settings: Any) -> Site:
            chosen = Settings(wildcard_base=BASE, public_url=URL, **settings)
            platform = Platform(database, secret_box, cast(Repositories, OneCommit()), chosen)
            stack.push_async_callback(platform.wakes.close)
            application = create_app(cast(Container, platform))
            config = server_config(chosen, application)
            config.load()
            return Site(database, platform, chosen, config.loaded_app, stack)

        yield made


@pytest.fixture
async def site(build: Build) -> Site:
    return build(rate_limit_sign_in="off")


@pytest.fixture
async def ada(site: Site) -> User:
    return await site.user("ada", email="ada@example.com")


@pytest.fixture
async def browser(site: Site, ada: User) -> Browser:
    return await site.browser()


@pytest.fixture
async def signed_in(browser: Browser) -> Browser:
    await browser.sign_in()
    return browser
