"""The Repositories port on this machine's disk: ``{folder}/{key}.git``, bare.

See ``home.py`` for what each git process is given, ``receive.py`` for pushes, ``export.py`` for checkouts.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from app.adapters.git.commits import read_commits
from app.adapters.git.export import export
from app.adapters.git.home import GitHome
from app.adapters.git.lock import sweep
from app.adapters.git.maintenance import is_untidy, is_worth_packing, mark_maintained
from app.adapters.git.mirror import fetch
from app.adapters.git.mover import RefMover
from app.adapters.git.pktline import FLUSH, packet
from app.adapters.git.process import CHUNK, GitFailed, end, log_failure, pump, run, spawn, tail
from app.adapters.git.receive import receive_pack
from app.errors import NotFound
from app.ids import new_id
from app.ports.mirrors import Source
from app.ports.repositories import (
    Arrived,
    ClientGone,
    Commit,
    Exchange,
    ReceiveHandler,
    RefRefused,
    RefUpdate,
    Service,
    ignore_arrival,
)
from app.refs import BRANCHES, ZERO, full_names, is_object_id, ref_problem

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}", re.ASCII)
_MAINTENANCE_SECONDS = 3600


class LocalRepositories:
    """Several processes may use one folder; git's own locks keep them apart."""

    def __init__(self, folder: Path, *, push_max_bytes: int = 1024 * 1024**2) -> None:
        self._folder = folder
        self._home = GitHome(folder / ".platform", push_max_bytes=push_max_bytes)
        self._push_max_bytes = push_max_bytes
        self._mover = RefMover(self._home)
        self._prepared = False

    async def create(self, key: str) -> None:
        path = self._path(key)
        if path.is_dir():
            return
        self._prepare()
        fresh = self._folder / ".platform" / new_id("new")
        try:
            await run(
                "init",
                "--quiet",
                "--bare",
                "--template=",
                "--initial-branch=main",
                str(fresh),
                env=self._home.environment(),
            )
            fresh.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        finally:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)

    async def delete(self, key: str) -> None:
        """Moved aside first: a request that comes meanwhile finds either all of it or nothing."""
        self._prepare()
        doomed = self._folder / ".platform" / new_id("old")
        try:
            self._path(key).rename(doomed)
        except FileNotFoundError:
            return
        await asyncio.to_thread(shutil.rmtree, doomed)

    async def list(self) -> Sequence[str]:
        return sorted(path.stem for path in self._folder.glob("*.git"))

    async def advertise(self, key: str, service: Service, protocol: str) -> AsyncIterator[bytes]:
        path, command = self._existing(key), service.removeprefix("git-")
        version = protocol if service == "git-upload-pack" else ""
        if "version=2" not in version:
            yield packet(f"# service={service}\n".encode()) + FLUSH
        process = await spawn(
            command,
            "--stateless-rpc",
            "--advertise-refs",
            str(path),
            env=self._home.environment(version),
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            while chunk := await process.stdout.read(CHUNK):
                yield chunk
            await process.wait()
        finally:
            await end(process)

    async def upload_pack(self, key: str, exchange: Exchange) -> None:
        path = self._existing(key)
        env = self._home.environment(exchange.protocol)
        process = await spawn("upload-pack", "--stateless-rpc", str(path), env=env)
        feeding = asyncio.create_task(_feed_request(exchange, process))
        complaining = asyncio.create_task(tail(process))
        hanging_up = asyncio.create_task(exchange.gone.wait())
        pumping = asyncio.create_task(pump(process, exchange))
        try:
            await asyncio.wait({pumping, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            if not exchange.gone.is_set():
                await pumping
                await process.wait()
                await feeding
                log_failure(process, path, await complaining)
        finally:
            for task in (feeding, complaining, hanging_up, pumping):
                task.cancel()
            await asyncio.gather(feeding, complaining, hanging_up, pumping, return_exceptions=True)
            await end(process)

    async def receive_pack(
        self,
        key: str,
        exchange: Exchange,
        handler: ReceiveHandler,
        *,
        arrived: Arrived = ignore_arrival,
    ) -> None:
        path = self._existing(key)
        ahead = self._mover.started_ahead(path)
        await receive_pack(path, self._home, exchange, handler, arrived=arrived, meanwhile=ahead)

    async def update_refs(self, key: str, updates: Sequence[RefUpdate]) -> bool:
        path = self._existing(key)
        for update in updates:
            problem = ref_problem(update.ref)
            if problem or not (is_object_id(update.old) and is_object_id(update.new)):
                raise RefRefused(problem or "an object id is malformed", field=update.ref)
        try:
            await self._mover.move(path, updates)
        except GitFailed as error:
            if await self._moved_on(path, updates):
                return False
            raise RefRefused(_reason(error, path)) from error
        return True

    async def _moved_on(self, path: Path, updates: Sequence[RefUpdate]) -> bool:
        for update in updates:
            if (await self._rev_parse(path, update.ref) or ZERO) != update.old:
                return True
        return False

    async def read_ref(self, key: str, ref: str) -> str | None:
        if ref_problem(ref):
            return None
        return await self._rev_parse(self._existing(key), ref)

    async def resolve(self, key: str, ref: str) -> str | None:
        path = self._existing(key)
        candidates = [ref] if is_object_id(ref) else full_names(ref)
        for candidate in candidates:
            if found := await self._rev_parse(path, f"{candidate}^{{commit}}"):
                return found
        return None

    async def _rev_parse(self, path: Path, revision: str) -> str | None:
        """``revision`` starts with ``refs/`` or is an object id: never an option."""
        command = ("-C", str(path), "rev-parse", "--verify", "--quiet", revision)
        try:
            found = await run(*command, env=self._home.environment())
        except GitFailed as error:
            if error.status == 1:
                return None
            raise
        return found.decode().strip()

    async def branches(self, key: str) -> Mapping[str, str]:
        command = ("for-each-ref", "--format=%(objectname) %(refname)", BRANCHES)
        path = self._existing(key)
        listed = await run("-C", str(path), *command, env=self._home.environment())
        pairs = [line.split(" ", 1) for line in listed.decode(errors="replace").splitlines()]
        return {ref.removeprefix(BRANCHES): sha for sha, ref in pairs}

    async def commit(self, key: str, sha: str) -> Commit | None:
        path = self._existing(key)
        if not is_object_id(sha):
            return None
        (found,) = await asyncio.to_thread(read_commits, path, [sha], self._home.environment())
        return found

    async def log(self, key: str, old: str | None, new: str, *, limit: int) -> Sequence[Commit]:
        path = self._existing(key)
        if not is_object_id(new) or not (old is None or is_object_id(old)):
            return []
        wanted = new + "\n" + (f"^{old}\n" if old and old != ZERO else "")
        command = ("rev-list", f"--max-count={limit}", "--stdin")
        env = self._home.environment()
        listed = await run("-C", str(path), *command, env=env, stdin=wanted.encode())
        found = await asyncio.to_thread(read_commits, path, listed.decode().split(), env)
        return [commit for commit in found if commit is not None]

    async def export(
        self, key: str, sha: str, into: Path, *, max_bytes: int, max_files: int
    ) -> None:
        path = self._existing(key)
        if not is_object_id(sha) or await self.resolve(key, sha) is None:
            raise NotFound(
                f"The commit {sha[:40]!r} is not in the repository.", hint="Push it first."
            )
        abandoned = threading.Event()
        writing = asyncio.ensure_future(
            asyncio.to_thread(
                export,
                path,
                sha,
                into,
                self._home.environment(),
                max_bytes=max_bytes,
                max_files=max_files,
                abandoned=abandoned,
            )
        )
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            abandoned.set()
            await asyncio.wait({writing})
            writing.exception()  # whatever it was, nobody waits for it any more
            raise

    async def fetch(self, key: str, source: Source, branch: str) -> str | None:
        """Of the port Mirrors."""
        await self.create(key)
        path = self._existing(key)
        return await fetch(path, self._home, source, branch, max_bytes=self._push_max_bytes)

    async def untidy(self) -> Sequence[str]:
        return await asyncio.to_thread(
            lambda: [path.stem for path in self._folder.glob("*.git") if is_untidy(path)]
        )

    async def maintain(self, key: str) -> None:
        path = self._existing(key)
        await asyncio.to_thread(sweep, path)
        if not await asyncio.to_thread(is_worth_packing, path):
            return
        async with asyncio.timeout(_MAINTENANCE_SECONDS):
            await run("-C", str(path), "gc", "--quiet", env=self._home.environment())
        await asyncio.to_thread(mark_maintained, path)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise NotFound("There is no such repository.")
        return self._folder / f"{key}.git"

    def _existing(self, key: str) -> Path:
        path = self._path(key)
        self._prepare()
        if not path.is_dir():
            raise NotFound("The repository does not exist yet.", hint="Push a branch first.")
        return path

    def _prepare(self) -> None:
        """Closed to others, since apps and builds run on this machine as users who may pass through the home."""
        if not self._prepared:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self._home.prepare()
            self._prepared = True


async def _feed_request(exchange: Exchange, process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    try:
        async for chunk in exchange.body:
            process.stdin.write(chunk)
            await process.stdin.drain()
    except (ClientGone, BrokenPipeError, ConnectionResetError):
        return
    finally:
        process.stdin.close()


def _reason(error: GitFailed, path: Path) -> str:
    """The last thing git said, without where the repository is."""
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else "git refused it"
    return last.removeprefix("fatal: ").replace(f"{path}/", "")
