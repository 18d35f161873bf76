"""A remote that does not wish us well."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from app.adapters.git import LocalRepositories
from app.errors import ExternalFailure
from app.ports.mirrors import RemoteRefused, Source
from tests.conftest import free_port
from tests.git.world import GitWorld

KEY = "app_mirror"


class Hostile:
    """Redirects ``/away``, and answers everything else as a dumb HTTP server with alternates would."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path.startswith("/away"):
            raise web.HTTPFound(f"http://127.0.0.1:{self.port}/elsewhere{request.path_qs[5:]}")
        if request.path.endswith("/info/refs"):
            return web.Response(text=f"{'a' * 40}\trefs/heads/main\n")
        if request.path.endswith("/objects/info/http-alternates"):
            return web.Response(text=f"http://127.0.0.1:{self.port}/secret/objects\n")
        return web.Response(status=404)


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    found = Hostile()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", found.port).start()
    yield found
    await runner.cleanup()


def _source(url: str, *addresses: str, password: str = "") -> Source:
    return Source(url, addresses or ("127.0.0.1",), "any", password)


async def test_redirect_is_not_followed(tmp_path: Path, hostile: Hostile) -> None:
    repositories = LocalRepositories(tmp_path)
    with pytest.raises(ExternalFailure):
        await repositories.fetch(
            KEY, _source(f"http://127.0.0.1:{hostile.port}/away/x.git"), "main"
        )
    assert hostile.asked
    assert all(path.startswith("/away") for path in hostile.asked)


async def test_alternates_of_a_dumb_server_are_not_asked(tmp_path: Path, hostile: Hostile) -> None:
    repositories = LocalRepositories(tmp_path)
    with pytest.raises(ExternalFailure):
        await repositories.fetch(KEY, _source(f"http://127.0.0.1:{hostile.port}/x.git"), "main")
    assert not any(path.startswith("/secret") for path in hostile.asked)


async def test_only_the_judged_address_is_connected_to(tmp_path: Path, hostile: Hostile) -> None:
    """``localhost`` would resolve to where the server is; what was judged is somewhere else."""
    repositories = LocalRepositories(tmp_path)
    source = _source(f"http://localhost:{hostile.port}/x.git", "127.0.0.2")
    with pytest.raises(ExternalFailure):
        await repositories.fetch(KEY, source, "main")
    assert hostile.asked == []
    with pytest.raises(ExternalFailure):
        await repositories.fetch(KEY, _source(source.url, "127.0.0.1"), "main")
    assert hostile.asked != []


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c 'touch /tmp/pwned'", "file:///etc", "git://127.0.0.1/x", "-c=x", "ssh://h/x"],
)
async def test_other_protocols_are_not_spoken(tmp_path: Path, url: str) -> None:
    repositories = LocalRepositories(tmp_path)
    with pytest.raises(ExternalFailure):
        await repositories.fetch(KEY, _source(url), "main")


@pytest.mark.parametrize("branch", ["--upload-pack=x", "../x", "a b", "x^{tree}", "*", ""])
async def test_branch_that_git_would_not_take_is_refused(tmp_path: Path, branch: str) -> None:
    repositories = LocalRepositories(tmp_path)
    with pytest.raises(RemoteRefused):
        await repositories.fetch(KEY, _source("https://example.com/x.git"), branch)


async def test_branch_that_is_too_large_leaves_nothing_visible(
    world: GitWorld, tmp_path: Path
) -> None:
    clone = await world.clone()
    await clone.commit("big", big=os.urandom(3_000_000))
    await clone.push("-o", "no-wait", "main")
    small = LocalRepositories(tmp_path, push_max_bytes=1024 * 1024)
    source = _source(world.url(secret=""), password=world.secret)
    with pytest.raises(RemoteRefused, match="larger than 1 MB"):
        await small.fetch(KEY, source, "main")
    assert await small.branches(KEY) == {}
    assert list((tmp_path / f"{KEY}.git" / "objects" / "pack").iterdir()) == []
    enough = LocalRepositories(tmp_path)
    sha = await enough.fetch(KEY, source, "main")
    assert sha is not None
    assert await enough.branches(KEY) == {}, "only a ref that nobody sees holds it"
    assert await enough.fetch(KEY, source, "missing") is None
