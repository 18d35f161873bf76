"""What the host of the code is told of deployments, in the documented shape of GitHub's and Gitea's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import update

from app.adapters.statuses.github import HttpCommitStatuses, url_of
from app.errors import ExternalFailure
from app.models import CommitStatus, DeploymentStatus, RemoteHost
from app.outbound.client import Outbound
from app.ports.commit_status import Repository
from app.reconcile.driver import Driver
from app.remotes.statuses import CommitStatusReconciler
from tests.conftest import free_port
from tests.remotes.conftest import LOOPBACK, Linked

SHA = "c" * 40
Told = tuple[str, dict[str, str], dict[str, Any]]


class Host:
    """Answers 201 as both do, or ``answer``."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answer = 201
        self.told: list[Told] = []

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.told.append((request.path, headers, await request.json()))
        return web.json_response({"id": 1, "state": "x"}, status=self.answer)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_post("/{any:.*}", host.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", host.port).start()
    yield host
    await runner.cleanup()


async def _report(linked: Linked) -> None:
    world = linked.world
    statuses = HttpCommitStatuses(Outbound(LOOPBACK))
    reconciler = CommitStatusReconciler(
        world.database, world.wiring.secret_box, statuses, world.wiring.settings
    )
    await Driver(world.database, [reconciler]).run_until_idle()


async def _deployed(linked: Linked, host: Host, kind: RemoteHost) -> str:
    url = f"http://127.0.0.1:{host.port}/octo/web.git"
    await linked.link(kind, url=url, token="t0ken", report_statuses=True)
    clone = await linked.world.clone()
    sha = await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main")
    return sha


@pytest.mark.parametrize(
    ("kind", "path", "authorization"),
    [
        (RemoteHost.GITHUB, "/api/v3/repos/octo/web/statuses/", "Bearer t0ken"),
        (RemoteHost.GITEA, "/api/v1/repos/octo/web/statuses/", "token t0ken"),
    ],
)
async def test_each_state_is_told_once(
    linked: Linked, host: Host, kind: RemoteHost, path: str, authorization: str
) -> None:
    sha = await _deployed(linked, host, kind)
    await _report(linked)
    await _report(linked)
    (deployment,) = await linked.world.deployments()
    await linked.world.set_deployment(deployment, status=DeploymentStatus.SUCCEEDED)
    await _report(linked)
    assert [said["state"] for _, _, said in host.told] == ["pending", "success"]
    where, headers, said = host.told[1]
    assert where == path + sha
    assert headers["authorization"] == authorization
    assert said["context"] == "paas/storefront/web/production"
    assert said["description"] == "Deployment #1 is live."
    assert said["target_url"].startswith("http://acme")


async def test_host_that_is_down_is_told_later_how_things_are_then(
    linked: Linked, host: Host
) -> None:
    await _deployed(linked, host, RemoteHost.GITEA)
    host.answer = 500
    await _report(linked)
    await _report(linked)
    assert len(host.told) == 1
    (deployment,) = await linked.world.deployments()
    await linked.world.set_deployment(
        deployment, status=DeploymentStatus.FAILED, failure_message="x" * 500
    )
    host.answer = 201
    async with linked.world.database.write_transaction() as session:
        await session.execute(update(CommitStatus).values(next_attempt_at=None))
    await _report(linked)
    assert [said["state"] for _, _, said in host.told] == ["pending", "failure"]
    assert len(host.told[1][2]["description"]) == 140


def test_where_each_host_takes_statuses() -> None:
    def where(host: RemoteHost, url: str) -> str:
        return url_of(Repository(host, url, ""), SHA)

    github = where(RemoteHost.GITHUB, "https://github.com/octo/web.git")
    assert github == f"https://api.github.com/repos/octo/web/statuses/{SHA}"
    assert where(RemoteHost.GITEA, "https://git.example.com:3000/a%20b/web/").startswith(
        "https://git.example.com:3000/api/v1/repos/a%20b/web/statuses/"
    )
    with pytest.raises(ExternalFailure):
        where(RemoteHost.GITHUB, "https://github.com/")
