"""An app whose code is elsewhere: another git server on loopback, with a token, plays the host."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from app.http import hooks
from app.models import RemoteHost, RemotePush
from app.outbound.guard import Guard, parse_networks
from app.reconcile.driver import Driver
from app.remotes import service
from app.remotes.reconcile import RemoteReconciler
from tests.factories import make_instance
from tests.git.conftest import server, world
from tests.git.world import Clone, GitWorld

__all__ = ["server", "world"]

LOOPBACK = Guard(parse_networks("127.0.0.0/8"))
ZERO = "0" * 40


def github(ref: str, after: str) -> dict[str, Any]:
    """As GitHub's documentation shows a push, shortened."""
    return {
        "ref": ref,
        "before": ZERO,
        "after": after,
        "created": True,
        "deleted": after == ZERO,
        "forced": False,
        "repository": {
            "id": 1,
            "full_name": "octo/web",
            "private": True,
            "clone_url": "https://evil.example/octo/web.git",
        },
        "pusher": {"name": "octocat", "email": "octocat@example.com"},
        "head_commit": {"id": after, "message": "change"},
        "commits": [],
    }


def gitlab(ref: str, after: str) -> dict[str, Any]:
    return {
        "object_kind": "push",
        "event_name": "push",
        "ref": ref,
        "before": ZERO,
        "after": after,
        "checkout_sha": after,
        "user_username": "jsmith",
        "project_id": 15,
        "project": {"path_with_namespace": "octo/web", "default_branch": "main"},
        "commits": [],
        "total_commits_count": 0,
    }


def gitea(ref: str, after: str) -> dict[str, Any]:
    return {
        "ref": ref,
        "before": ZERO,
        "after": after,
        "compare_url": "",
        "commits": [],
        "repository": {"full_name": "octo/web"},
        "pusher": {"login": "octo"},
        "sender": {"login": "octo"},
    }


PAYLOADS = {RemoteHost.GITHUB: github, RemoteHost.GITLAB: gitlab, RemoteHost.GITEA: gitea}


def headers_of(host: RemoteHost, secret: str, body: bytes, delivery: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        RemoteHost.GITHUB: {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={digest}",
        },
        RemoteHost.GITLAB: {
            "X-Gitlab-Event": "Push Hook",
            "X-Gitlab-Event-UUID": delivery,
            "X-Gitlab-Token": secret,
        },
        RemoteHost.GITEA: {
            "X-Gitea-Event": "push",
            "X-Gitea-Delivery": delivery,
            "X-Gitea-Signature": digest,
        },
    }[host] | {"Content-Type": "application/json"}


@dataclass
class Linked:
    world: GitWorld
    http: httpx2.AsyncClient
    upstream: Clone
    """Pushes to what plays the host."""
    url: str
    secret: str = ""

    async def link(self, host: RemoteHost = RemoteHost.GITHUB, **values: Any) -> None:
        async with self.world.database.write_transaction() as session:
            _, secret = await service.link(
                session,
                self.world.actor,
                self.world.placed.app,
                self.world.wiring.secret_box,
                LOOPBACK,
                **{"host": host, "url": self.url, "token": self.world.secret, **values},
            )
        self.secret = secret or self.secret

    async def say(
        self,
        ref: str,
        after: str,
        *,
        host: RemoteHost = RemoteHost.GITHUB,
        delivery: str = "d-1",
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        app_id: str | None = None,
    ) -> httpx2.Response:
        body = json.dumps(PAYLOADS[host](ref, after)).encode()
        signed = headers_of(host, self.secret if secret is None else secret, body, delivery)
        return await self.http.post(
            f"/hooks/{app_id or self.world.placed.app.id}/{host.value}",
            content=body,
            headers={**signed, **(headers or {})},
        )

    def reconciler(self, guard: Guard = LOOPBACK) -> RemoteReconciler:
        repositories: Any = self.world.repositories
        wiring = self.world.wiring
        return RemoteReconciler(
            self.world.database,
            wiring.secret_box,
            repositories,
            repositories,
            guard,
            wiring.previews,
        )

    async def work(self, guard: Guard = LOOPBACK) -> None:
        await Driver(self.world.database, [self.reconciler(guard)]).run_until_idle()

    async def messages(self) -> list[RemotePush]:
        async with self.world.database.read_session() as session:
            statement = select(RemotePush).where(RemotePush.app_id == self.world.placed.app.id)
            return list(await session.scalars(statement.order_by(RemotePush.id)))


@pytest.fixture
async def linked(world: GitWorld) -> Any:
    await make_instance(
        world.database, organization=world.organization, project="elsewhere", app="code"
    )
    path = f"{world.organization}/elsewhere/code"
    upstream = await world.clone(url=world.url(path))
    application = Starlette(routes=hooks.routes(world.wiring))
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Linked(world, http, upstream, world.url(path, secret=""))
