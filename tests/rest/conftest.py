"""The REST routes over a real database, driven as curl would drive them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from starlette.applications import Starlette

from app import rest
from app.access import members, users
from app.access.actor import OPERATOR
from app.adapters.segments.store import SegmentStore
from app.crypto import SecretBox
from app.db import Database
from app.models import Role
from app.organizations import service as organizations
from app.ports.logs import LogStore
from app.ports.repositories import Repositories
from app.settings import Settings
from app.tokens import service as tokens
from tests.rest.commits import Commits

Json = dict[str, Any]


@dataclass(frozen=True)
class Wiring:
    """What of a Container the REST routes use."""

    settings: Settings
    database: Database
    secret_box: SecretBox
    repositories: Repositories

    @cached_property
    def logs(self) -> LogStore:
        folder = self.settings.home_path / "logs" / "apps"
        return SegmentStore(folder, keep_bytes=1 << 20, keep=timedelta(hours=1))


@dataclass
class Client:
    """Somebody with a token. ``__call__`` is one request: its status and JSON."""

    http: httpx2.AsyncClient
    secret: str
    last: httpx2.Response = field(init=False, repr=False)

    async def __call__(
        self,
        method: str,
        path: str,
        body: Json | list[Any] | None = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Json]:
        sent = {"Authorization": f"Bearer {self.secret}", **(headers or {})}
        self.last = await self.http.request(method, path, json=body, content=raw, headers=sent)
        return self.last.status_code, self.last.json() if self.last.content else {}

    async def ok(self, method: str, path: str, body: Json | None = None) -> Json:
        status, answer = await self(method, path, body)
        assert status < 300, answer
        return answer

    async def error(self, method: str, path: str, body: Json | None = None) -> Json:
        """The error's detail, with its status."""
        status, answer = await self(method, path, body)
        assert list(answer) == ["error"], answer
        assert sorted(answer["error"]) == ["code", "field", "hint", "message"]
        return {"status": status, **answer["error"]}


@dataclass
class Api:
    wiring: Wiring
    http: httpx2.AsyncClient
    commits: Commits
    operator: Client
    owner: Client
    developer: Client
    viewer: Client
    stranger: Client


def transport(wiring: Wiring) -> httpx2.AsyncClient:
    app = Starlette(routes=list(rest.routes(wiring)))
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="https://paas.example.com",
    )


@pytest.fixture
async def api(database: Database, secret_box: SecretBox, tmp_path: Path) -> AsyncIterator[Api]:
    settings = Settings(
        home=str(tmp_path),
        wildcard_base="apps.example.com",
        public_url="https://paas.example.com",
        ingress_port=80,
    )
    commits = Commits()
    wiring = Wiring(settings, database, secret_box, cast(Repositories, commits))
    secrets = {}
    async with database.write_transaction() as session:
        for name in ("root", "olga", "dora", "vera", "mallory"):
            user = await users.create(session, OPERATOR, name=name, is_admin=name == "root")
            _, secrets[name] = await tokens.create(session, user, "test")
        acme = await organizations.create(session, OPERATOR, slug="acme", display_name="Acme")
        await organizations.create(session, OPERATOR, slug="evil")
        for name, role in (
            ("olga", Role.OWNER),
            ("dora", Role.DEVELOPER),
            ("vera", Role.VIEWER),
        ):
            user = await users.by_name(session, name)
            await members.set_role(session, OPERATOR, acme, user, role)
    async with transport(wiring) as http:
        actors = [Client(http, secret) for secret in secrets.values()]
        yield Api(wiring, http, commits, *actors)


@pytest.fixture
async def web(api: Api) -> Api:
    """acme/storefront/web with production (main) and staging (staging)."""
    owner, base = api.owner, "/api/orgs/acme/projects/"
    await owner.ok("POST", base, {"slug": "storefront"})
    envs = {"slug": "staging", "branchPattern": "staging"}
    await owner.ok("POST", base + "storefront/envs/", envs)
    await owner.ok("POST", base + "storefront/apps/", {"slug": "web"})
    return api
