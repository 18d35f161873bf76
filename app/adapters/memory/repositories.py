"""Repositories in memory: commits are given with ``add_commit`` and moved about by real push requests.

It speaks enough of git's protocol to be pushed to, with objects that it already has; packs are not read.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.git.pktline import FLUSH, packet, payload_length
from app.adapters.git.tree import EXECUTABLE, SYMLINK, Entry, accepted, check_links
from app.errors import NotFound
from app.ports.repositories import (
    Arrived,
    ClientGone,
    Commit,
    Exchange,
    ReceivedPush,
    ReceiveHandler,
    RefRefused,
    RefResult,
    RefUpdate,
    Send,
    Service,
    ignore_arrival,
)
from app.refs import BRANCHES, HIDDEN, ZERO, full_names, is_object_id, ref_problem

CAPABILITIES = "report-status side-band-64k push-options atomic delete-refs"


@dataclass(frozen=True)
class File:
    content: bytes
    mode: str = "100644"


@dataclass(frozen=True)
class Stored:
    commit: Commit
    parents: tuple[str, ...]
    files: Mapping[str, File]


@dataclass
class Repository:
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Stored] = field(default_factory=dict)


class MemoryRepositories:
    def __init__(self) -> None:
        self._repositories: dict[str, Repository] = {}
        self._clock = 0

    def add_commit(
        self,
        key: str,
        files: Mapping[str, File],
        *,
        message: str = "change\n",
        parents: Sequence[str] = (),
    ) -> str:
        """As if its objects had been pushed, and no ref moved yet. Returns the commit's sha."""
        self._clock += 1
        text = repr((sorted(files.items()), message, tuple(parents), self._clock))
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        at = datetime.fromtimestamp(self._clock, UTC)
        commit = Commit(sha=sha, message=message, author="Ada <ada@example.com>", committed_at=at)
        self._existing(key).commits[sha] = Stored(commit, tuple(parents), dict(files))
        return sha

    async def create(self, key: str) -> None:
        self._repositories.setdefault(key, Repository())

    async def delete(self, key: str) -> None:
        self._repositories.pop(key, None)

    async def list(self) -> Sequence[str]:
        return sorted(self._repositories)

    async def advertise(self, key: str, service: Service, protocol: str) -> AsyncIterator[bytes]:
        shown = {r: s for r, s in self._existing(key).refs.items() if not r.startswith(HIDDEN)}
        lines = [f"{sha} {ref}" for ref, sha in sorted(shown.items())] or [
            f"{ZERO} capabilities^{{}}"
        ]
        lines[0] += f"\0{CAPABILITIES}"
        yield packet(f"# service={service}\n".encode()) + FLUSH
        yield b"".join(packet(line.encode() + b"\n") for line in lines) + FLUSH

    async def upload_pack(self, key: str, exchange: Exchange) -> None:
        self._existing(key)
        await exchange.send(packet(b"ERR a repository in memory has no packs to fetch\n"))

    async def receive_pack(
        self,
        key: str,
        exchange: Exchange,
        handler: ReceiveHandler,
        *,
        arrived: Arrived = ignore_arrival,
    ) -> None:
        repository = self._existing(key)
        try:
            body = b"".join([chunk async for chunk in exchange.body])
        except ClientGone:
            return
        commands, rest = _section(body)
        if not commands:
            return
        capabilities = commands[0].partition(b"\0")[2].decode().split()
        options = _section(rest)[0] if "push-options" in capabilities else []
        client = _Client(exchange.send, exchange.gone, sideband="side-band-64k" in capabilities)
        updates = [_update(line) for line in commands]
        arrived(updates)
        missing = [u for u in updates if not u.deletes and u.new not in repository.commits]
        if missing:
            await client.report("unpack missing objects", [])
            return
        push = ReceivedPush(
            updates=updates,
            options=dict(_option(line) for line in options),
            atomic="atomic" in capabilities,
            client=client,
        )
        errors = {result.ref: result.error for result in await handler(push)}
        results = [RefResult(u.ref, errors.get(u.ref, "no answer")) for u in updates]
        await client.report("unpack ok", results)

    async def update_refs(self, key: str, updates: Sequence[RefUpdate]) -> bool:
        repository = self._existing(key)
        for update in updates:
            problem = ref_problem(update.ref) or self._misplaced(repository, update)
            if problem:
                raise RefRefused(problem, field=update.ref)
        if any(repository.refs.get(u.ref, ZERO) != u.old for u in updates):
            return False
        for update in updates:
            if update.deletes:
                repository.refs.pop(update.ref, None)
            else:
                repository.refs[update.ref] = update.new
        return True

    def _misplaced(self, repository: Repository, update: RefUpdate) -> str | None:
        if not is_object_id(update.new) or not is_object_id(update.old):
            return "an object id is malformed"
        if update.deletes or repository.refs.get(update.ref, ZERO) != update.old:
            return None
        if update.new not in repository.commits:
            return "the object is no commit of this repository"
        for other in repository.refs:
            if other.startswith(f"{update.ref}/") or update.ref.startswith(f"{other}/"):
                return f"'{other}' exists; cannot create '{update.ref}'"
        return None

    async def read_ref(self, key: str, ref: str) -> str | None:
        return self._existing(key).refs.get(ref)

    async def resolve(self, key: str, ref: str) -> str | None:
        repository = self._existing(key)
        if is_object_id(ref):
            return ref if ref in repository.commits else None
        found = (repository.refs.get(name) for name in full_names(ref))
        return next((sha for sha in found if sha is not None), None)

    async def branches(self, key: str) -> Mapping[str, str]:
        refs = self._existing(key).refs.items()
        return {r.removeprefix(BRANCHES): sha for r, sha in refs if r.startswith(BRANCHES)}

    async def commit(self, key: str, sha: str) -> Commit | None:
        stored = self._existing(key).commits.get(sha)
        return stored.commit if stored is not None else None

    async def log(self, key: str, old: str | None, new: str, *, limit: int) -> Sequence[Commit]:
        repository = self._existing(key)
        wanted = _ancestry(repository, new) - (_ancestry(repository, old) if old else set())
        commits = [repository.commits[sha].commit for sha in wanted]
        return sorted(commits, key=lambda commit: commit.committed_at, reverse=True)[:limit]

    async def export(
        self, key: str, sha: str, into: Path, *, max_bytes: int, max_files: int
    ) -> None:
        stored = self._existing(key).commits.get(sha)
        if stored is None:
            raise NotFound(f"The commit {sha[:40]!r} is not in the repository.")
        entries = [
            Entry(file.mode, ZERO, len(file.content), path)
            for path, file in sorted(stored.files.items())
        ]
        tree = accepted(entries, max_bytes=max_bytes, max_files=max_files)
        files = stored.files.items()
        links = {path: f.content.decode() for path, f in files if f.mode == SYMLINK}
        check_links(tree, links)
        await asyncio.to_thread(_write, stored.files, into)

    async def untidy(self) -> Sequence[str]:
        return []

    async def maintain(self, key: str) -> None:
        self._existing(key)

    def _existing(self, key: str) -> Repository:
        if key not in self._repositories:
            raise NotFound("The repository does not exist yet.", hint="Push a branch first.")
        return self._repositories[key]


class _Client:
    def __init__(self, send: Send, gone: asyncio.Event, *, sideband: bool) -> None:
        self._send = send
        self._sideband = sideband
        self.gone = gone

    async def say(self, line: str) -> None:
        if self._sideband and not self.gone.is_set():
            await self._send(packet(b"\2" + line.encode() + b"\n"))

    async def report(self, unpacked: str, results: Sequence[RefResult]) -> None:
        lines = [unpacked]
        lines += [f"ng {r.ref} {r.error}" if r.error else f"ok {r.ref}" for r in results]
        report = b"".join(packet(line.encode() + b"\n") for line in lines) + FLUSH
        await self._send(packet(b"\1" + report) + FLUSH if self._sideband else report)


def _section(body: bytes) -> tuple[list[bytes], bytes]:
    """The payloads up to the flush packet, and what comes after it."""
    lines: list[bytes] = []
    while body:
        length = payload_length(body[:4])
        if length < 0:
            return lines, body[4:]
        lines.append(body[4 : length + 4].removesuffix(b"\n"))
        body = body[length + 4 :]
    return lines, b""


def _update(line: bytes) -> RefUpdate:
    old, new, ref = line.partition(b"\0")[0].decode().split(" ", 2)
    return RefUpdate(ref=ref, old=old, new=new)


def _option(line: bytes) -> tuple[str, str]:
    key, _, value = line.decode().partition("=")
    return key, value


def _ancestry(repository: Repository, sha: str) -> set[str]:
    found: set[str] = set()
    ahead = [sha]
    while ahead:
        commit = ahead.pop()
        if commit in repository.commits and commit not in found:
            found.add(commit)
            ahead.extend(repository.commits[commit].parents)
    return found


def _write(files: Mapping[str, File], into: Path) -> None:
    for path, file in files.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == SYMLINK:
            os.symlink(file.content.decode(), target)
        else:
            target.write_bytes(file.content)
            target.chmod(0o755 if file.mode == EXECUTABLE else 0o644)
