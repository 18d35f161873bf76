"""Every Repositories keeps refs and commits alike, whether on a disk or in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from app.adapters.git import LocalRepositories
from app.adapters.git.pktline import FLUSH, packet
from app.adapters.memory.repositories import File, MemoryRepositories
from app.errors import NotFound
from app.ports.repositories import (
    ClientGone,
    Exchange,
    ReceivedPush,
    RefRefused,
    RefResult,
    RefUpdate,
    Repositories,
    SourceTooLarge,
    UnsafeSource,
)
from app.refs import ZERO

KEY = "app_01k0000000000000000000000"
MAIN = "refs/heads/main"
EMPTY_PACK = b"PACK" + (2).to_bytes(4, "big") + (0).to_bytes(4, "big")
EMPTY_PACK += hashlib.sha1(EMPTY_PACK, usedforsecurity=False).digest()


class Yard(Protocol):
    """An implementation, and a way to put commits into it."""

    repositories: Repositories

    def commit(
        self, files: Mapping[str, File], *, message: str = ..., parents: Sequence[str] = ...
    ) -> str: ...


class MemoryYard:
    def __init__(self) -> None:
        self.memory = MemoryRepositories()
        self.repositories: Repositories = self.memory

    def commit(
        self,
        files: Mapping[str, File],
        *,
        message: str = "change\n",
        parents: Sequence[str] = (),
    ) -> str:
        return self.memory.add_commit(KEY, files, message=message, parents=parents)


class LocalYard:
    def __init__(self, folder: Path) -> None:
        self.repositories: Repositories = LocalRepositories(folder)
        self._path = folder / f"{KEY}.git"
        self._count = 0

    def commit(
        self,
        files: Mapping[str, File],
        *,
        message: str = "change\n",
        parents: Sequence[str] = (),
    ) -> str:
        self._count += 1
        stream = b"commit refs/seed/x\ncommitter Ada <ada@example.com> %d +0000\n" % self._count
        stream += _data(message.encode())
        stream += b"".join(
            b"%s %s\n" % (b"merge" if number else b"from", parent.encode())
            for number, parent in enumerate(parents)
        )
        stream += b"deleteall\n"
        for path, file in files.items():
            stream += f"M {file.mode} inline {path}\n".encode() + _data(file.content)
        subprocess.run(
            ["git", "-C", str(self._path), "fast-import", "--quiet", "--force"],
            input=stream,
            check=True,
        )
        command = ["git", "-C", str(self._path)]
        sha = subprocess.check_output([*command, "rev-parse", "refs/seed/x"], text=True).strip()
        subprocess.run([*command, "update-ref", "-d", "refs/seed/x"], check=True)
        return sha


def _data(content: bytes) -> bytes:
    return b"data %d\n" % len(content) + content + b"\n"


@pytest.fixture(params=["local", "memory"])
async def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    made: Yard = MemoryYard() if request.param == "memory" else LocalYard(tmp_path / "repositories")
    await made.repositories.create(KEY)
    return made


async def test_creating_twice_keeps_and_deleting_twice_is_fine(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})
    assert await yard.repositories.update_refs(KEY, [RefUpdate(MAIN, ZERO, sha)])
    await yard.repositories.create(KEY)
    assert await yard.repositories.branches(KEY) == {"main": sha}
    assert await yard.repositories.list() == [KEY]
    await yard.repositories.delete(KEY)
    await yard.repositories.delete(KEY)
    assert await yard.repositories.list() == []
    with pytest.raises(NotFound):
        await yard.repositories.branches(KEY)


async def test_refs_move_only_from_where_they_are_expected(yard: Yard) -> None:
    first, second = yard.commit({"a": File(b"1")}), yard.commit({"a": File(b"2")})
    move = yard.repositories.update_refs
    assert await move(KEY, [RefUpdate(MAIN, ZERO, first)])
    assert not await move(KEY, [RefUpdate(MAIN, ZERO, second)])
    assert not await move(KEY, [RefUpdate(MAIN, second, first)])
    assert await move(KEY, [RefUpdate(MAIN, first, second)])
    assert await yard.repositories.read_ref(KEY, MAIN) == second
    assert await move(KEY, [RefUpdate(MAIN, second, ZERO)])
    assert await yard.repositories.read_ref(KEY, MAIN) is None
    assert not await move(KEY, [RefUpdate(MAIN, second, ZERO)])


async def test_of_several_refs_all_move_or_none(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})
    good = RefUpdate("refs/heads/good", ZERO, sha)
    stale = RefUpdate("refs/heads/stale", "1" * 40, sha)
    assert not await yard.repositories.update_refs(KEY, [good, stale])
    assert await yard.repositories.branches(KEY) == {}


@pytest.mark.parametrize(
    "ref", ["refs/heads/-x", "refs/heads/a..b", "refs/heads/a b", "main", "refs/heads/x.lock"]
)
async def test_ref_that_git_forbids_is_refused(yard: Yard, ref: str) -> None:
    sha = yard.commit({"a": File(b"1")})
    with pytest.raises(RefRefused):
        await yard.repositories.update_refs(KEY, [RefUpdate(ref, ZERO, sha)])
    assert await yard.repositories.read_ref(KEY, ref) is None
    assert await yard.repositories.resolve(KEY, ref) is None


async def test_ref_below_another_ref_is_refused(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})
    await yard.repositories.update_refs(KEY, [RefUpdate(MAIN, ZERO, sha)])
    with pytest.raises(RefRefused, match="exists"):
        await yard.repositories.update_refs(KEY, [RefUpdate(f"{MAIN}/sub", ZERO, sha)])


async def test_branch_of_a_commit_that_is_not_there_is_refused(yard: Yard) -> None:
    with pytest.raises(RefRefused):
        await yard.repositories.update_refs(KEY, [RefUpdate(MAIN, ZERO, "1" * 40)])


async def test_branch_tag_full_ref_and_sha_resolve_to_the_commit(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})
    updates = [RefUpdate(MAIN, ZERO, sha), RefUpdate("refs/tags/v1", ZERO, sha)]
    await yard.repositories.update_refs(KEY, updates)
    for name in ("main", MAIN, "v1", "refs/tags/v1", sha):
        assert await yard.repositories.resolve(KEY, name) == sha
    for name in ("other", "HEAD~1", "main^{tree}", ":/change", "--all", "1" * 40, ""):
        assert await yard.repositories.resolve(KEY, name) is None


async def test_commits_are_read_and_logged_newest_first(yard: Yard) -> None:
    first = yard.commit({"a": File(b"1")}, message="first\n")
    second = yard.commit({"a": File(b"2")}, message="second\n\nmore\n", parents=[first])
    third = yard.commit({"a": File(b"3")}, message="third\n", parents=[second])
    commit = await yard.repositories.commit(KEY, second)
    assert commit is not None
    assert (commit.sha, commit.message) == (second, "second\n\nmore\n")
    assert commit.author == "Ada <ada@example.com>"
    assert commit.committed_at.tzinfo is not None
    assert await yard.repositories.commit(KEY, "1" * 40) is None
    log = yard.repositories.log
    assert [c.sha for c in await log(KEY, None, third, limit=10)] == [third, second, first]
    assert [c.sha for c in await log(KEY, first, third, limit=10)] == [third, second]
    assert [c.sha for c in await log(KEY, first, third, limit=1)] == [third]
    assert await log(KEY, third, first, limit=10) == []


async def test_exported_files_are_as_committed(yard: Yard, tmp_path: Path) -> None:
    sha = yard.commit(
        {
            ".gitattributes": File(b"* text eol=crlf export-ignore\n"),
            "a.txt": File(b"one\ntwo\n"),
            "deep/er/run.sh": File(b"#!/bin/sh\n", "100755"),
            "deep/link": File(b"../a.txt", "120000"),
            "-rf": File(b""),
        }
    )
    await _export(yard, sha, tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "a.txt").read_bytes() == b"one\ntwo\n"
    assert os.access(out / "deep/er/run.sh", os.X_OK)
    assert not os.access(out / "a.txt", os.X_OK)
    assert os.readlink(out / "deep/link") == "../a.txt"
    assert (out / "-rf").read_bytes() == b""


async def test_export_of_a_commit_that_is_not_there(yard: Yard, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await _export(yard, "1" * 40, tmp_path / "out")


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "..", "deep/../../x", "deep/up/../..", "loop", "../out2"]
)
async def test_link_that_leaves_the_folder_is_refused(
    yard: Yard, tmp_path: Path, target: str
) -> None:
    files = {
        "deep/a": File(b"1"),
        "deep/up": File(b".", "120000"),
        "loop": File(target.encode(), "120000"),
    }
    sha = yard.commit(files)
    with pytest.raises(UnsafeSource):
        await _export(yard, sha, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


async def test_tree_over_a_limit_is_refused_before_anything_is_written(
    yard: Yard, tmp_path: Path
) -> None:
    sha = yard.commit({"a": File(b"x" * 1000), "b": File(b"x" * 1000)})
    for limits in ({"max_bytes": 1999, "max_files": 10}, {"max_bytes": 9999, "max_files": 1}):
        with pytest.raises(SourceTooLarge):
            await _export(yard, sha, tmp_path / "out", **limits)
    assert list((tmp_path / "out").iterdir()) == []


async def test_push_is_asked_about_before_any_ref_moves_and_its_answer_told(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})
    asked: list[ReceivedPush] = []

    async def handler(push: ReceivedPush) -> Sequence[RefResult]:
        asked.append(push)
        assert await yard.repositories.branches(KEY) == {}
        await yard.repositories.update_refs(KEY, [push.updates[0]])
        await push.client.say("hello")
        return [RefResult(MAIN), RefResult("refs/heads/other", "not today")]

    updates = [RefUpdate(MAIN, ZERO, sha), RefUpdate("refs/heads/other", ZERO, sha)]
    request = _request(updates, "side-band-64k push-options", ["wait", "a=b=c"])
    answer = await _push(yard, request, handler)
    assert asked[0].updates == updates
    assert asked[0].options == {"wait": "", "a": "b=c"}
    assert not asked[0].atomic
    assert b"hello" in answer
    assert f"ok {MAIN}".encode() in answer
    assert b"ng refs/heads/other not today" in answer
    assert await yard.repositories.branches(KEY) == {"main": sha}


async def test_push_without_an_answer_is_refused(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})

    async def handler(push: ReceivedPush) -> Sequence[RefResult]:
        return []

    answer = await _push(yard, _request([RefUpdate(MAIN, ZERO, sha)], ""), handler)
    assert f"ng {MAIN}".encode() in answer


async def test_push_that_breaks_off_is_not_asked_about(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})

    async def handler(push: ReceivedPush) -> Sequence[RefResult]:
        raise AssertionError("asked about half a push")

    request = _request([RefUpdate(MAIN, ZERO, sha)], "")
    for length in (3, 60, len(request) - 5):
        await _push(yard, request[:length], handler, broken=True)
    assert await yard.repositories.branches(KEY) == {}


async def test_advertisement_shows_branches_and_not_the_platforms_refs(yard: Yard) -> None:
    sha = yard.commit({"a": File(b"1")})
    updates = [RefUpdate(MAIN, ZERO, sha), RefUpdate("refs/paas/push/x", ZERO, sha)]
    await yard.repositories.update_refs(KEY, updates)
    chunks = [c async for c in yard.repositories.advertise(KEY, "git-receive-pack", "")]
    shown = b"".join(chunks)
    assert f"{sha} {MAIN}".encode() in shown
    assert b"refs/paas" not in shown
    assert b"push-options" in shown


async def _export(
    yard: Yard, sha: str, into: Path, *, max_bytes: int = 10**6, max_files: int = 100
) -> None:
    into.mkdir(exist_ok=True)
    await yard.repositories.export(KEY, sha, into, max_bytes=max_bytes, max_files=max_files)


def _request(updates: Sequence[RefUpdate], capabilities: str, options: Sequence[str] = ()) -> bytes:
    lines = [f"{u.old} {u.new} {u.ref}" for u in updates]
    lines[0] += f"\0report-status {capabilities}"
    request = b"".join(packet(line.encode()) for line in lines) + FLUSH
    if options:
        request += b"".join(packet(option.encode()) for option in options) + FLUSH
    return request + EMPTY_PACK


async def _push(yard: Yard, request: bytes, handler: object, *, broken: bool = False) -> bytes:
    sent: list[bytes] = []

    async def send(chunk: bytes) -> None:
        sent.append(chunk)

    async def body() -> AsyncIterator[bytes]:
        yield request
        if broken:
            raise ClientGone

    exchange = Exchange(body=body(), send=send, protocol="", gone=asyncio.Event())
    await yard.repositories.receive_pack(KEY, exchange, handler)  # type: ignore[arg-type]
    return b"".join(sent)
