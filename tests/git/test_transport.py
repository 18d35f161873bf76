"""The protocol itself: authentication, sizes, shallow and broken pushes, aborts."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from app.adapters.git.pktline import FLUSH, packet
from app.db import Database
from app.models import DeploymentStatus
from tests.factories import make_instance
from tests.git.world import Clone, GitWorld, git_server, make_world, run_git


async def test_first_request_is_challenged_and_a_wrong_token_is_refused(world: GitWorld) -> None:
    status, headers, _ = await _request(world, "GET", "info/refs?service=git-upload-pack", auth="")
    assert status == 401
    assert headers["www-authenticate"].startswith("basic")
    clone = await world.clone(url=world.url(secret="paas_wrong"))
    await clone.commit("first", a="1")
    ran = await clone.push("main")
    assert ran.status == 128
    assert "Authentication failed" in ran.err


@pytest.mark.parametrize("form", ["password", "user name", "bearer"])
async def test_token_is_taken_as_password_user_name_or_bearer(world: GitWorld, form: str) -> None:
    secret = world.secret
    basic = {"password": f"x:{secret}", "user name": f"{secret}:"}.get(form)
    header = (
        f"Bearer {secret}"
        if basic is None
        else "Basic " + base64.b64encode(basic.encode()).decode()
    )
    path = "info/refs?service=git-receive-pack"
    status, headers, body = await _request(world, "GET", path, auth=header)
    assert status == 200
    assert headers["content-type"] == "application/x-git-receive-pack-advertisement"
    assert body.startswith(b"001f# service=git-receive-pack\n0000")


async def test_repository_of_another_tenant_is_answered_as_a_missing_one(world: GitWorld) -> None:
    rival = f"rival-of-{world.organization}"
    await make_instance(world.database, organization=rival)
    answers = [
        await _request(world, "GET", "info/refs?service=git-upload-pack", app=app)
        for app in (
            f"{rival}/storefront/web",
            "nobody/storefront/web",
            f"{world.organization}/storefront/-x",
        )
    ]
    assert {(status, body) for status, _, body in answers} == {(404, answers[0][2])}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "info/refs"),
        ("GET", "info/refs?service=git-shell"),
        ("GET", "git-receive-pack"),
        ("POST", "git-receive-pack"),
        ("GET", "HEAD"),
        ("GET", "objects/info/packs"),
        ("GET", "../../../../etc/passwd"),
    ],
)
async def test_anything_but_smart_http_is_refused(world: GitWorld, method: str, path: str) -> None:
    status, _, _ = await _request(world, method, path)
    assert 400 <= status < 500


async def test_push_over_one_mebibyte_comes_chunked_after_a_probe(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("big", big=os.urandom(3 * 1024**2))
    ran = await clone.push("main:topic")
    assert ran.status == 0, ran
    assert await world.repositories.branches(world.key) == {"topic": sha}


async def test_gzipped_fetch_request_is_understood(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    await clone.push("main:topic")
    wanted = packet(f"want {sha} side-band-64k\n".encode()) + FLUSH + packet(b"done\n")
    for encoding, body in (("gzip", gzip.compress(wanted)), ("identity", wanted)):
        status, _, answer = await _request(
            world,
            "POST",
            "git-upload-pack",
            headers={
                "content-type": "application/x-git-upload-pack-request",
                "content-encoding": encoding,
            },
            body=body,
        )
        assert status == 200
        assert b"PACK" in answer


async def test_body_that_only_claims_to_be_gzip_is_refused(world: GitWorld) -> None:
    headers = {
        "content-type": "application/x-git-upload-pack-request",
        "content-encoding": "gzip",
    }
    status, _, _ = await _request(
        world, "POST", "git-upload-pack", headers=headers, body=b"nonsense"
    )
    assert status == 422


async def test_fetch_of_a_long_history_and_with_every_protocol_version(world: GitWorld) -> None:
    clone = await world.clone()
    for number in range(40):
        await clone.commit(f"commit {number}", a=str(number))
    await clone.push("main:topic")
    for version in ("0", "1", "2"):
        folder = world.folder()
        ran = await run_git(
            "-c",
            f"protocol.version={version}",
            "clone",
            "-q",
            "-b",
            "topic",
            world.url(),
            str(folder),
            cwd=world.scratch,
        )
        assert ran.status == 0, ran


async def test_push_from_a_shallow_clone_of_this_server(world: GitWorld) -> None:
    clone = await world.clone()
    for number in range(3):
        await clone.commit(f"commit {number}", a=str(number))
    await clone.push("main:topic")
    shallow = await _shallow_clone(world, world.url(), "topic")
    sha = await shallow.commit("on top", b="1")
    ran = await shallow.push("HEAD:topic")
    assert ran.status == 0, ran
    await _fully_connected(world)
    assert await world.repositories.branches(world.key) == {"topic": sha}


async def test_push_from_a_shallow_clone_of_elsewhere_records_the_boundary(
    world: GitWorld,
) -> None:
    elsewhere = await world.clone()
    for number in range(3):
        await elsewhere.commit(f"commit {number}", a=str(number))
    shallow = await _shallow_clone(world, f"file://{elsewhere.folder}", "main")
    shallow.remote = world.url()
    sha = await shallow.commit("on top", b="1")
    ran = await shallow.push("HEAD:topic")
    assert ran.status == 0, ran
    assert await world.repositories.branches(world.key) == {"topic": sha}
    await _fully_connected(world)
    again = await _shallow_clone(world, world.url(), "topic", depth=None)
    assert (await again.ok("rev-list", "--count", "HEAD")) == "2"


async def test_shallow_boundary_never_hides_history_that_is_present(world: GitWorld) -> None:
    clone = await world.clone()
    first = await clone.commit("first", a="1")
    await clone.commit("second", a="2")
    sha = await clone.commit("third", a="3")
    await clone.push("main:topic")
    second = await clone.ok("rev-parse", "HEAD^")
    commands = (
        packet(f"shallow {second}".encode())
        + packet(f"{'0' * 40} {sha} refs/heads/other\0report-status".encode())
        + FLUSH
    )
    await _receive_pack(world, commands + await _empty_pack(clone))
    log = await world.repositories.log(world.key, None, sha, limit=10)
    assert [commit.sha for commit in log][-1] == first


async def test_repository_that_fails_fsck_is_refused_and_leaves_nothing(world: GitWorld) -> None:
    clone = await world.clone()
    await clone.commit("first", a="1")
    blob = await clone.ok("rev-parse", "HEAD:a")
    process = await run_git(
        "mktree", cwd=clone.folder, stdin=f"100644 blob {blob}\t.git\n".encode()
    )
    tree = process.out.strip()
    commit = await clone.ok("commit-tree", tree, "-m", "evil")
    ran = await clone.push(f"{commit}:refs/heads/main")
    assert ran.status == 1
    assert "hasDotgit" in ran.err
    assert await world.pushes() == []
    assert _leftovers(world.repository) == []


async def test_pack_over_the_limit_is_refused_clearly(database: Database, tmp_path: Path) -> None:
    async with git_server(database, tmp_path, push_max_mb=1) as small:
        world = await make_world(small, tmp_path)
        clone = await world.clone()
        await clone.commit("big", big=os.urandom(2 * 1024**2))
        ran = await clone.push("main")
        assert ran.status == 1, ran
        assert "exceeds maximum allowed size" in ran.err
        assert await world.pushes() == []


async def test_push_cut_half_way_leaves_nothing(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("big", big=os.urandom(2 * 1024**2))
    commands = packet(f"{'0' * 40} {sha} refs/heads/main\0report-status".encode()) + FLUSH
    pack = await _pack(clone, sha)
    await world.repositories.create(world.key)
    before = _objects(world.repository)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    body = commands + pack
    writer.write(_head(world, "POST", "git-receive-pack", _RECEIVE, len(body)))
    writer.write(body[: len(body) // 2])
    await writer.drain()
    await _until(lambda: bool(_leftovers(world.repository)))
    writer.transport.abort()
    await _until(lambda: not _leftovers(world.repository) and not _git_children())
    assert _objects(world.repository) == before
    assert await world.pushes() == []
    assert await world.repositories.branches(world.key) == {}
    reader.feed_eof()


async def test_client_that_hangs_up_cancels_nothing(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    pushing = await asyncio.create_subprocess_exec(
        "git",
        "-C",
        str(clone.folder),
        "push",
        clone.remote,
        "main",
        start_new_session=True,
    )
    (deployment,) = await world.queued()
    os.killpg(pushing.pid, signal.SIGINT)
    await pushing.wait()
    await _until(lambda: not _git_children())
    assert await world.repositories.branches(world.key) == {"main": sha}
    assert deployment.status is DeploymentStatus.QUEUED
    async with world.worker():
        await clone.commit("second", a="2")
        ran = await clone.push("main")
    assert ran.status == 0, ran


async def test_half_received_pack_of_a_killed_server_is_swept(world: GitWorld) -> None:
    await world.repositories.create(world.key)
    stale = world.repository / "objects" / "tmp_objdir-incoming-abc123"
    stale.mkdir()
    (stale / "pack").write_bytes(b"x")
    await world.repositories.maintain(world.key)
    assert _leftovers(world.repository) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("files", [4, 120])
async def test_push_of_400_megabytes_is_streamed(world: GitWorld, files: int) -> None:
    """Of few objects git unpacks each; of more than a hundred it keeps the pack."""
    clone = await world.clone()
    for number in range(files):
        (clone.folder / f"blob{number}").write_bytes(os.urandom(400 * 1024**2 // files))
    await clone.ok("-c", "core.bigFileThreshold=1m", "add", "-A")
    await clone.ok("commit", "-q", "-m", "huge")
    small = await world.clone()
    await small.commit("small", a="1")
    assert (await small.push("main:small")).status == 0
    idle = _memory()
    pushing = asyncio.create_task(clone.push("main:huge"))
    peak, helpers = 0, 0
    while not pushing.done():
        peak = max(peak, _memory())
        helpers = max(helpers, len(_git_children()))
        await asyncio.sleep(0.02)
    ran = await pushing
    assert ran.status == 0, ran
    assert helpers >= 2, "the memory of git itself was not counted"
    assert (peak - idle) / 1024**2 <= 30
    shutil.rmtree(world.repository)


_RECEIVE = {"content-type": "application/x-git-receive-pack-request"}


def _memory() -> int:
    """Of this process, which is the server, and of the git processes that serve the push. Bytes."""
    total = psutil.Process().memory_info().rss
    for child in _git_children():
        try:
            total += child.memory_full_info().uss
        except psutil.Error:
            continue
    return total


def _git_children() -> list[psutil.Process]:
    """The server's: those of the client run in a clone's folder."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            command = child.cmdline()
            if {"receive-pack", "index-pack", "unpack-objects"}.intersection(command):
                found.append(child)
        except psutil.Error:
            continue
    return found


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)


def _leftovers(repository: Path) -> list[Path]:
    return list((repository / "objects").glob("*incoming-*"))


def _objects(repository: Path) -> list[Path]:
    return sorted(path for path in (repository / "objects").rglob("*") if path.is_file())


async def _shallow_clone(world: GitWorld, url: str, branch: str, depth: int | None = 1) -> Clone:
    folder = world.folder()
    arguments = [] if depth is None else ["--depth", str(depth)]
    ran = await run_git(
        "clone", "-q", *arguments, "-b", branch, url, str(folder), cwd=world.scratch
    )
    assert ran.status == 0, ran
    return Clone(folder, world.url())


async def _fully_connected(world: GitWorld) -> None:
    ran = await run_git("fsck", "--connectivity-only", cwd=world.repository)
    assert ran.status == 0, ran


async def _pack(clone: Clone, *tips: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "git",
        "pack-objects",
        "--stdout",
        "--revs",
        "-q",
        cwd=clone.folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate("".join(f"{tip}\n" for tip in tips).encode())
    return out


async def _empty_pack(clone: Clone) -> bytes:
    return await _pack(clone)


async def _receive_pack(world: GitWorld, body: bytes) -> bytes:
    status, _, answer = await _request(
        world, "POST", "git-receive-pack", headers=_RECEIVE, body=body
    )
    assert status == 200
    return answer


def _head(
    world: GitWorld,
    method: str,
    path: str,
    headers: dict[str, str],
    length: int,
    *,
    auth: str | None = None,
    app: str = "",
) -> bytes:
    if auth is None:
        auth = "Bearer " + world.secret
    lines = [
        f"{method} /git/{app or world.path}.git/{path} HTTP/1.1",
        f"Host: 127.0.0.1:{world.port}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
        *([f"Authorization: {auth}"] if auth else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _request(
    world: GitWorld,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    auth: str | None = None,
    app: str = "",
) -> tuple[int, dict[str, str], bytes]:
    """One request as bytes, since a client library would tidy up what is odd about it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    sent = {"Connection": "close", **(headers or {})}
    writer.write(_head(world, method, path, sent, len(body), auth=auth, app=app) + body)
    await writer.drain()
    raw = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    parsed = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), parsed, _unchunked(rest) if "chunked" in str(parsed) else rest


def _unchunked(body: bytes) -> bytes:
    chunks = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(body[:length])
        body = body[length + 2 :]
    return b"".join(chunks)
